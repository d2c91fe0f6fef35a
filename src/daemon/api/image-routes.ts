import {
  type ImageBuildFile,
  type ImageConfig,
  type ImageDeleted,
  type ImageInfo,
  type ImageListing,
  type ImagePrune,
  type ImagePruned,
  type ImagePull,
  type ImagePush,
  type ImagePushed,
  type ImageResult,
  type ImportFormat,
  imageBuildFileSchema,
  imageImportSchema,
  imagePruneSchema,
  imagePullSchema,
  imagePushSchema,
  imageTagSchema,
  type RegistryCredentials,
  registryCredentialsSchema,
} from "../../contract/image.ts";
import { REGISTRY_AUTH_HEADER } from "../../contract/image-reference.ts";
import { buildSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import { type Api, readJson } from "./context.ts";
import { answerProgress, parseRequest } from "./responses.ts";
import { wholeBody } from "./whole-body.ts";

export interface ImageImportRequest {
  name?: string | undefined;
  format: ImportFormat;
  reference?: string | undefined;
  platform?: string | undefined;
}

export interface ImageDeps {
  images: {
    list(): Promise<ImageInfo[]>;
    making(): Promise<string[]>;
    get(nameOrDigest: string): Promise<ImageInfo>;
    config(nameOrDigest: string): Promise<ImageConfig>;
    build(name: string, force: boolean, options: WorkOptions): Promise<ImageResult>;
    pull(request: ImagePull, credentials: RegistryCredentials | undefined, options: WorkOptions): Promise<ImageResult>;
    push(
      nameOrDigest: string,
      request: ImagePush,
      credentials: RegistryCredentials | undefined,
      options: WorkOptions,
    ): Promise<ImagePushed>;
    /** `use` is called when the archive is here whole; its `finish` makes the image. */
    import<T>(
      request: ImageImportRequest,
      body: AsyncIterable<Buffer>,
      use: (finish: (options: WorkOptions) => Promise<ImageResult>) => Promise<T>,
    ): Promise<T>;
    /** The same for a build's context. */
    buildFile<T>(
      request: ImageBuildFile,
      body: AsyncIterable<Buffer>,
      use: (finish: (options: WorkOptions) => Promise<ImageResult>) => Promise<T>,
    ): Promise<T>;
    tag(nameOrDigest: string, name: string): Promise<ImageInfo>;
    untag(name: string): Promise<ImageInfo>;
    delete(nameOrDigest: string, force: boolean): Promise<ImageDeleted>;
    prune(request: ImagePrune): Promise<ImagePruned>;
  };
}

export function addImageRoutes(api: Api, { images }: ImageDeps): void {
  api.get("/v1/images", async (context) =>
    context.json({ images: await images.list(), making: await images.making() } satisfies ImageListing),
  );
  api.get("/v1/images/:name", async (context) => context.json(await images.get(context.req.param("name"))));
  api.post("/v1/images/pull", async (context) => {
    const request = parseRequest(imagePullSchema, await readJson(context));
    const credentials = parseCredentials(context.req.header(REGISTRY_AUTH_HEADER));
    return answerProgress(context, (options) => images.pull(request, credentials, options));
  });
  api.post("/v1/images/import", async (context) => {
    const request = parseRequest(imageImportSchema, context.req.query());
    // Only what the caller sends is read; the answer begins when all of it is here.
    return images.import(request, wholeBody(context), (finish) => answerProgress(context, finish));
  });
  api.post("/v1/images/build", async (context) => {
    const request = parseRequest(imageBuildFileSchema, context.req.query());
    return images.buildFile(request, wholeBody(context), (finish) => answerProgress(context, finish));
  });
  api.post("/v1/images/prune", async (context) =>
    context.json(await images.prune(parseRequest(imagePruneSchema, await readJson(context)))),
  );
  api.post("/v1/images/:name/build", async (context) => {
    const body = parseRequest(buildSchema, await readJson(context));
    return answerProgress(context, (options) => images.build(context.req.param("name"), body.force ?? false, options));
  });
  api.post("/v1/images/:name/push", async (context) => {
    const request = parseRequest(imagePushSchema, await readJson(context));
    const credentials = parseCredentials(context.req.header(REGISTRY_AUTH_HEADER));
    return answerProgress(context, (options) => images.push(context.req.param("name"), request, credentials, options));
  });
  api.post("/v1/images/:name/tag", async (context) => {
    const { name } = parseRequest(imageTagSchema, await readJson(context));
    return context.json(await images.tag(context.req.param("name"), name));
  });
  api.post("/v1/images/:name/untag", async (context) => context.json(await images.untag(context.req.param("name"))));
  api.delete("/v1/images/:name", async (context) =>
    context.json(await images.delete(context.req.param("name"), context.req.query("force") === "true")),
  );
}

/** What is wrong with it is said without saying what it is. */
function parseCredentials(header: string | undefined): RegistryCredentials | undefined {
  if (header === undefined) return undefined;
  try {
    return registryCredentialsSchema.parse(JSON.parse(Buffer.from(header, "base64").toString("utf8")));
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", `the header ${REGISTRY_AUTH_HEADER} is malformed`);
  }
}
