import type { Readable } from "node:stream";
import type {
  ImageBuildFile,
  ImageDeleted,
  ImageImport,
  ImageInfo,
  ImageListing,
  ImagePrune,
  ImagePruned,
  ImagePull,
  ImagePush,
  ImagePushed,
  ImageResult,
  RegistryCredentials,
} from "../../contract/image.ts";
import { REGISTRY_AUTH_HEADER } from "../../contract/image-reference.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Images: made, fetched, named and removed. */
export class ImageCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<ImageInfo[]> {
    return (await this.listing(options)).images;
  }

  /** All images, and the names of those that are not there yet. */
  listing(options: CallOptions = {}): Promise<ImageListing> {
    return this.#http.json("GET", "/v1/images", options);
  }

  get(image: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("GET", imagePath(image), options);
  }

  build(name: string, force: boolean, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.lines("POST", `${imagePath(name)}/build`, { force }, options);
  }

  /** Fetches an image from a registry; `credentials` are for this request alone. */
  pull(
    request: ImagePull,
    credentials: RegistryCredentials | undefined,
    options: CallOptions = {},
  ): Promise<ImageResult> {
    return this.#http.lines("POST", "/v1/images/pull", request, options, loginHeader(credentials));
  }

  /** Publishes an image in a registry; `credentials` are for this request alone. */
  push(
    image: string,
    request: ImagePush,
    credentials: RegistryCredentials | undefined,
    options: CallOptions = {},
  ): Promise<ImagePushed> {
    return this.#http.lines("POST", `${imagePath(image)}/push`, request, options, loginHeader(credentials));
  }

  /** Makes an image of an archive that is sent. */
  import(request: ImageImport, archive: Readable, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.upload("/v1/images/import", request, archive, options);
  }

  /** Builds an image from a build file, in a VM; `context` is a tar that has the file and what it copies. */
  buildFile(request: ImageBuildFile, context: Readable, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.upload("/v1/images/build", request, context, options);
  }

  tag(image: string, name: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("POST", `${imagePath(image)}/tag`, options, { name });
  }

  untag(name: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("POST", `${imagePath(name)}/untag`, options);
  }

  /** `force`: with the templates that were made of it. */
  delete(image: string, force: boolean, options: CallOptions = {}): Promise<ImageDeleted> {
    return this.#http.json("DELETE", imagePath(image), options, undefined, { force });
  }

  prune(request: ImagePrune, options: CallOptions = {}): Promise<ImagePruned> {
    return this.#http.json("POST", "/v1/images/prune", options, request);
  }
}

function loginHeader(credentials: RegistryCredentials | undefined): Record<string, string> {
  if (credentials === undefined) return {};
  return { [REGISTRY_AUTH_HEADER]: Buffer.from(JSON.stringify(credentials)).toString("base64") };
}

function imagePath(image: string): string {
  return `/v1/images/${encodeURIComponent(image)}`;
}
