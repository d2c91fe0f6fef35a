import type { KernelInfo } from "../../contract/daemon.ts";
import { kernelBuildSchema } from "../../contract/vm.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import { type Api, readJson } from "./context.ts";
import { answerProgress, parseRequest } from "./responses.ts";

export interface KernelDeps {
  kernels: {
    list(): Promise<KernelInfo[]>;
    /** By id, "current" or "stock", as in the others. Throws KERNEL_NOT_FOUND. */
    get(id: string): Promise<KernelInfo>;
    /** Throws KERNEL_IN_USE. */
    delete(id: string): Promise<KernelInfo>;
    /** `isUpToDate` when there was nothing to build. */
    build(
      request: { force: boolean; use: boolean },
      options: WorkOptions,
    ): Promise<{ kernel: KernelInfo; isUpToDate: boolean }>;
    /** By id, or "stock". */
    use(id: string, options: WorkOptions): Promise<KernelInfo>;
    /** By id, "current" or "stock"; reads every file. Throws KERNEL_CORRUPT. */
    verify(id: string): Promise<KernelInfo>;
  };
}

export function addKernelRoutes(api: Api, { kernels }: KernelDeps): void {
  api.get("/v1/kernels", async (context) => context.json({ kernels: await kernels.list() }));
  api.post("/v1/kernels/build", async (context) => {
    const { force = false, use = false } = parseRequest(kernelBuildSchema, await readJson(context));
    return answerProgress(context, (options) => kernels.build({ force, use }, options));
  });
  // The stock kernel may have to be fetched.
  api.post("/v1/kernels/:id/use", (context) =>
    answerProgress(context, (options) => kernels.use(context.req.param("id"), options)),
  );
  api.get("/v1/kernels/:id", async (context) => context.json(await kernels.get(context.req.param("id"))));
  api.delete("/v1/kernels/:id", async (context) => {
    const { id } = await kernels.delete(context.req.param("id"));
    return context.json({ deleted: id });
  });
  api.post("/v1/kernels/:id/verify", async (context) => context.json(await kernels.verify(context.req.param("id"))));
}
