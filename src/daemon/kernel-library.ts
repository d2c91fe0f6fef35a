import type { KernelInfo } from "../contract/daemon.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { useKernel } from "../images/kernel.ts";
import { buildKernel } from "../images/kernel-build.ts";
import {
  deleteKernel,
  findKernel,
  type Kernel,
  listKernels,
  readCurrentKernelId,
  verifyKernel,
} from "../images/kernel-store.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { KernelDeps } from "./api/kernel-routes.ts";

type Port = KernelDeps["kernels"];

/** The kernels folder behind the API. */
export class KernelLibrary implements Port {
  readonly #paths: FirebreakPaths;
  /** Names of the VMs that boot with a kernel. */
  readonly #usersOf: (id: string) => string[];

  constructor(paths: FirebreakPaths, usersOf: (id: string) => string[]) {
    this.#paths = paths;
    this.#usersOf = usersOf;
  }

  async list(): Promise<KernelInfo[]> {
    const kernels = await listKernels(this.#paths);
    return Promise.all(kernels.map((kernel) => this.#toInfo(kernel)));
  }

  async build(request: { force: boolean; use: boolean }, options: WorkOptions) {
    const { kernel, built } = await buildKernel(this.#paths, { force: request.force, ...options });
    if (request.use) await useKernel(this.#paths, kernel.id, options);
    return { kernel: await this.#toInfo(kernel), isUpToDate: !built };
  }

  async use(id: string, options: WorkOptions): Promise<KernelInfo> {
    return this.#toInfo(await useKernel(this.#paths, id, options));
  }

  async get(id: string): Promise<KernelInfo> {
    return this.#toInfo(await findKernel(this.#paths, id));
  }

  async delete(id: string): Promise<KernelInfo> {
    const kernel = await findKernel(this.#paths, id);
    const info = await this.#toInfo(kernel);
    if (info.isCurrent)
      throw new FirebreakError("KERNEL_IN_USE", `new VMs get the kernel ${kernel.id}`, {
        hint: "Choose another first: firebreak kernel use ID",
      });
    const users = this.#usersOf(kernel.id);
    if (users.length > 0)
      throw new FirebreakError("KERNEL_IN_USE", `the kernel ${kernel.id} is that of ${users.join(", ")}`, {
        hint: "A VM keeps the kernel that it was created with: delete these VMs first.",
      });
    await deleteKernel(this.#paths, kernel);
    return info;
  }

  async verify(id: string): Promise<KernelInfo> {
    const kernel = await findKernel(this.#paths, id);
    await verifyKernel(kernel, { deep: true });
    return this.#toInfo(kernel);
  }

  async #toInfo(kernel: Kernel): Promise<KernelInfo> {
    return {
      id: kernel.id,
      release: kernel.release,
      kind: kernel.kind,
      isCurrent: kernel.id === (await readCurrentKernelId(this.#paths)),
      sizeBytes: Object.values(kernel.files).reduce((sum, file) => sum + file.sizeBytes, 0),
      package: kernel.package,
      version: kernel.version,
      createdAt: kernel.createdAt,
    };
  }
}
