import path from "node:path";
import type {
  ImageBuildFile,
  ImageConfig,
  ImageDeleted,
  ImageInfo,
  ImagePrune,
  ImagePruned,
  ImagePull,
  ImagePush,
  ImagePushed,
  ImageResult,
  ImageUser,
  RegistryCredentials,
} from "../contract/image.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { buildImage } from "../images/build.ts";
import { type ImportRequest, receiveArchive } from "../images/import.ts";
import { heldLocks } from "../images/lock.ts";
import { type PullResult, pullImage } from "../images/pull.ts";
import { pushImage } from "../images/push.ts";
import {
  deleteImage,
  getImage,
  type Image,
  listImages,
  removeNamesOfNothing,
  tagImage,
  untagImage,
  withStoreLock,
} from "../images/store.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { ImageBuilder } from "./image-build.ts";

/** A user of an image, and what goes when it goes. */
export interface ImageUse extends ImageUser {
  imageDigest: string;
  sizeBytes: number;
}

export interface ImageServiceOptions {
  paths: FirebreakPaths;
  /** All users of all images. */
  uses: () => Promise<ImageUse[]>;
  deleteTemplate: (id: string) => Promise<void>;
  builder: Pick<ImageBuilder, "build">;
  /** Gets what a VM needs besides an image. */
  fetchKernel: (options: WorkOptions) => Promise<unknown>;
}

/** Images as the API has them: who uses which, and what may go. */
export class ImageService {
  readonly #options: ImageServiceOptions;

  constructor(options: ImageServiceOptions) {
    this.#options = options;
  }

  async list(): Promise<ImageInfo[]> {
    const uses = await this.#options.uses();
    return (await listImages(this.#options.paths)).map((image) => toInfo(image, uses));
  }

  /** Names of those that are being built or fetched. */
  making(): Promise<string[]> {
    return heldLocks(path.join(this.#options.paths.images, ".locks"));
  }

  async get(nameOrDigest: string): Promise<ImageInfo> {
    return toInfo(await getImage(this.#options.paths, nameOrDigest), await this.#options.uses());
  }

  /** How an image is to be used. */
  async config(nameOrDigest: string): Promise<ImageConfig> {
    return configOf(await getImage(this.#options.paths, nameOrDigest));
  }

  async build(name: string, force: boolean, options: WorkOptions): Promise<ImageResult> {
    const built = await buildImage(this.#options.paths, name, { force, ...options });
    await this.#options.fetchKernel(options);
    return this.#toResult({ image: built.image, isUpToDate: !built.built, warnings: [] });
  }

  async pull(
    request: ImagePull,
    credentials: RegistryCredentials | undefined,
    options: WorkOptions,
  ): Promise<ImageResult> {
    const login = credentials === undefined ? {} : { credentials };
    return this.#toResult(await pullImage(this.#options.paths, request, { ...options, ...login }));
  }

  async push(
    nameOrDigest: string,
    request: ImagePush,
    credentials: RegistryCredentials | undefined,
    options: WorkOptions,
  ): Promise<ImagePushed> {
    const login = credentials === undefined ? {} : { credentials };
    const { image, ...pushed } = await pushImage(this.#options.paths, nameOrDigest, request, { ...options, ...login });
    return { image: toInfo(image, await this.#options.uses()), ...pushed };
  }

  /** Takes the archive in; `use` is called when it is here whole, and makes the image. */
  import<T>(
    request: ImportRequest,
    body: AsyncIterable<Buffer>,
    use: (finish: (options: WorkOptions) => Promise<ImageResult>) => Promise<T>,
  ): Promise<T> {
    return receiveArchive(this.#options.paths, request, body, ({ finish }) =>
      use(async (options) => this.#toResult(await finish(options))),
    );
  }

  /** Takes a build's context in; `use` is called when it is here whole, and builds. */
  buildFile<T>(
    request: ImageBuildFile,
    body: AsyncIterable<Buffer>,
    use: (finish: (options: WorkOptions) => Promise<ImageResult>) => Promise<T>,
  ): Promise<T> {
    return this.#options.builder.build(request, body, (finish) =>
      use(async (options) => this.#toResult({ image: await finish(options), isUpToDate: false, warnings: [] })),
    );
  }

  async tag(nameOrDigest: string, name: string): Promise<ImageInfo> {
    const { paths } = this.#options;
    return withStoreLock(paths, async () => {
      await tagImage(paths, nameOrDigest, name);
      return this.get(name);
    });
  }

  async untag(name: string): Promise<ImageInfo> {
    const { paths } = this.#options;
    return withStoreLock(paths, async () => {
      const { digest } = await getImage(paths, name);
      await untagImage(paths, name);
      return this.get(digest);
    });
  }

  /**
   * Deletes an image with all its names. Throws IMAGE_IN_USE while a VM or a snapshot needs it; while only templates do, unless `force`
   * gives these up.
   */
  async delete(nameOrDigest: string, force: boolean): Promise<ImageDeleted> {
    return withStoreLock(this.#options.paths, async () => {
      const image = await getImage(this.#options.paths, nameOrDigest);
      const uses = (await this.#options.uses()).filter((use) => use.imageDigest === image.digest);
      const inWay = force ? uses.filter(isNeeded) : uses;
      if (inWay.length > 0) throw inUse(image, inWay);
      return this.#remove(image, uses);
    });
  }

  /** Deletes the images that no VM or snapshot needs: those without a name, with `all` also the others. */
  async prune({ all = false, dryRun = false }: ImagePrune): Promise<ImagePruned> {
    const { paths } = this.#options;
    return withStoreLock(paths, async () => {
      const uses = await this.#options.uses();
      const images: ImageDeleted[] = [];
      for (const image of await listImages(paths)) {
        const own = uses.filter((use) => use.imageDigest === image.digest);
        if ((!all && image.tags.length > 0) || own.some(isNeeded)) continue;
        if (dryRun) images.push(toDeleted(image, own));
        // One that has come into use meanwhile stays, and the others need not.
        else await this.#remove(image, own).then((deleted) => images.push(deleted), ignoreInUse);
      }
      if (!dryRun) await removeNamesOfNothing(paths);
      return { images, freedBytes: images.reduce((sum, { freedBytes }) => sum + freedBytes, 0), isDryRun: dryRun };
    });
  }

  async #remove(image: Image, uses: ImageUse[]): Promise<ImageDeleted> {
    let needed: ImageUse[] = [];
    const isStillUnused = async () => {
      needed = (await this.#options.uses()).filter((use) => use.imageDigest === image.digest && isNeeded(use));
      return needed.length === 0;
    };
    if (!(await deleteImage(this.#options.paths, image.digest, isStillUnused))) throw inUse(image, needed);
    for (const { kind, id } of uses) if (kind === "template") await this.#options.deleteTemplate(id);
    return toDeleted(image, uses);
  }

  async #toResult({ image, isUpToDate, warnings }: PullResult): Promise<ImageResult> {
    return { image: toInfo(image, await this.#options.uses()), isUpToDate, warnings };
  }
}

function isNeeded({ kind }: ImageUse): boolean {
  return kind !== "template";
}

function ignoreInUse(error: unknown): void {
  if (!(error instanceof FirebreakError) || error.code !== "IMAGE_IN_USE") throw error;
}

function inUse(image: Image, users: ImageUse[]): FirebreakError {
  const shown = users.slice(0, 10).map(({ kind, name }) => `${kind} ${name}`);
  const more = users.length > shown.length ? ` and ${users.length - shown.length} more` : "";
  const name = image.tags[0] ?? image.digest.slice(0, 19);
  const hint = users.some(isNeeded)
    ? "Delete what uses it first."
    : "Its templates are made anew when they are needed: 'firebreak image delete --force' deletes them too.";
  return new FirebreakError("IMAGE_IN_USE", `the image ${name} is in use by ${shown.join(", ")}${more}`, {
    hint,
    details: { usedBy: users.slice(0, 100).map(({ kind, id, name: user }) => ({ kind, id, name: user })) },
  });
}

function toDeleted(image: Image, uses: ImageUse[]): ImageDeleted {
  const templates = uses.filter((use) => !isNeeded(use));
  return {
    deleted: image.tags[0] ?? image.name,
    digest: image.digest,
    tags: image.tags,
    templates: templates.map(({ id }) => id),
    freedBytes: templates.reduce((sum, { sizeBytes }) => sum + sizeBytes, image.sizeBytes),
  };
}

function configOf(image: Image): ImageConfig {
  return image.config ?? { entrypoint: [], cmd: [] };
}

function toInfo(image: Image, uses: ImageUse[]): ImageInfo {
  return {
    name: image.tags[0] ?? image.name,
    tags: image.tags,
    digest: image.digest,
    sizeBytes: image.sizeBytes,
    format: image.format,
    arch: image.arch,
    createdAt: image.createdAt,
    recipe: image.recipe,
    ...(image.source === undefined ? {} : { source: image.source }),
    env: image.env,
    config: configOf(image),
    usedBy: uses.filter((use) => use.imageDigest === image.digest).map(({ kind, id, name }) => ({ kind, id, name })),
  };
}
