import type { ImageInfo } from "../../contract/daemon.ts";
import { buildSchema } from "../../contract/vm.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import { type Api, answerRaw, readJson } from "./context.ts";
import { answerLines, parseRequest, signalOfCaller } from "./responses.ts";

export interface ImageDeps {
  images: {
    list(): Promise<ImageInfo[]>;
    get(nameOrDigest: string): Promise<ImageInfo>;
    /** `isUpToDate` when there was nothing to do. */
    build(name: string, force: boolean, options: WorkOptions): Promise<{ image: ImageInfo; isUpToDate: boolean }>;
  };
}

export function addImageRoutes(api: Api, { images }: ImageDeps): void {
  api.get("/v1/images", async (context) => context.json({ images: await images.list() }));
  api.get("/v1/images/:name", async (context) => context.json(await images.get(context.req.param("name"))));
  api.post("/v1/images/:name/build", async (context) => {
    const body = parseRequest(buildSchema, await readJson(context));
    return answerRaw(context, (_incoming, outgoing) => {
      const signal = signalOfCaller(outgoing);
      return answerLines(outgoing, (onProgress) =>
        images.build(context.req.param("name"), body.force ?? false, { onProgress, signal }),
      );
    });
  });
}
