import { createReadStream } from "node:fs";
import path from "node:path";
import { invalidArchive, TAR_END, tarPadding } from "../archive/tar-format.ts";
import type { ImageConfig } from "../contract/image.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { readPart, readWholePart, spool } from "./archive-files.ts";
import { MAX_BUILD_FILE_BYTES } from "./build-file.ts";
import { hashFile, hashText } from "./digest.ts";
import { packLayers, ROOTFS_LIMITS } from "./flatten.ts";
import type { ImageOptions } from "./progress.ts";
import type { Image } from "./store.ts";
import { storeImage } from "./store-image.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";
import { encodeHeader } from "./tar-writer.ts";
import { requireTools } from "./tools.ts";
import { withWorkDir } from "./work-dir.ts";

const MAX_CONTEXT_BYTES = 16 * 1024 ** 3;

/** What a build may use of its caller's files: what the caller has sent, and nothing else. */
export class BuildContext {
  readonly #file: string;
  readonly #entries: ReadonlyMap<string, TarEntry>;

  constructor(file: string, entries: ReadonlyMap<string, TarEntry>) {
    this.#file = file;
    this.#entries = entries;
  }

  /** The text of a file at its root or below. Throws BUILD_FILE_INVALID when it is not there. */
  async readText(name: string): Promise<string> {
    const entry = this.#entries.get(normalize(name));
    if (entry?.type !== "file") throw missing(name);
    const part = { file: this.#file, offset: entry.offset, sizeBytes: entry.sizeBytes };
    return (await readWholePart(part, MAX_BUILD_FILE_BYTES)).toString("utf8");
  }

  has(name: string): boolean {
    return this.#entries.has(normalize(name));
  }

  isDirectory(name: string): boolean {
    const wanted = normalize(name);
    if (wanted === "" || this.#entries.get(wanted)?.type === "directory") return true;
    return [...this.#entries.keys()].some((key) => key.startsWith(`${wanted}/`));
  }

  /**
   * One file, or all that is in a directory, as a tar for the guest agent: `name` is what a file is called there. Throws
   * BUILD_FILE_INVALID when there is nothing of that name.
   */
  async *copy(source: string, name: string): AsyncGenerator<Buffer> {
    const wanted = normalize(source);
    const isFolder = this.isDirectory(source);
    if (!isFolder && !this.#entries.has(wanted)) throw missing(source);
    const prefix = wanted === "" ? "" : `${wanted}/`;
    const bytes = createReadStream(this.#file, { highWaterMark: 256 * 1024 });
    for await (const { entry, content } of readTar(bytes as AsyncIterable<Buffer>)) {
      const at = normalize(entry.path);
      if (isFolder ? at === "" || !at.startsWith(prefix) : at !== wanted) continue;
      const target = isFolder ? at.slice(prefix.length) : name;
      if (entry.type === "link") {
        const linked = normalize(entry.linkTarget);
        // A name of a file that is not copied along would lead nowhere.
        if (!isFolder || !linked.startsWith(prefix))
          throw invalidArchive(`${JSON.stringify(source)} has a hard link to what is not in it`);
        yield encodeHeader({ ...entry, path: target, linkTarget: linked.slice(prefix.length), xattrs: new Map() });
        continue;
      }
      if (entry.type !== "file" && entry.type !== "directory" && entry.type !== "symlink") continue;
      yield encodeHeader({ ...entry, path: target, xattrs: new Map() });
      yield* content();
      yield tarPadding(entry.sizeBytes);
    }
    yield TAR_END;
  }
}

/** What a build makes its image of. */
export interface BuiltRoot {
  /** A tar of the whole root file system. Hostile: it comes from a guest. */
  tar: AsyncIterable<Buffer>;
  arch: string;
  env: Record<string, string>;
  config: ImageConfig;
  /** Digest of what decided the content, as far as that can be said. */
  recipeDigest: string;
}

export interface ReceivedContext {
  context: BuildContext;
  /** Makes the image of what the build has come to. */
  store: (name: string, root: BuiltRoot, options: ImageOptions) => Promise<Image>;
}

/** Takes a build's context in from its sender. When `use` is over nothing is left of it. */
export async function receiveContext<T>(
  paths: FirebreakPaths,
  body: AsyncIterable<Buffer>,
  use: (received: ReceivedContext) => Promise<T>,
): Promise<T> {
  await requireTools(["sqfstar", "xz"]);
  return withWorkDir(paths.images, async (work) => {
    const file = path.join(work, "context.tar");
    await spool(body, file, MAX_CONTEXT_BYTES);
    const context = new BuildContext(file, await indexContext(file));
    return use({ context, store: (name, root, options) => storeRoot(paths, work, name, root, options) });
  });
}

async function indexContext(file: string): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  let count = 0;
  for await (const { entry } of readTar(
    createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>,
  )) {
    if (++count > ROOTFS_LIMITS.maxEntries)
      throw invalidArchive(`it has more than ${ROOTFS_LIMITS.maxEntries} members`);
    entries.set(normalize(entry.path), entry);
  }
  return entries;
}

async function storeRoot(
  paths: FirebreakPaths,
  work: string,
  name: string,
  root: BuiltRoot,
  options: ImageOptions,
): Promise<Image> {
  const file = path.join(work, "rootfs.tar");
  const sizeBytes = await spool(root.tar, file);
  const layer = { open: () => readPart({ file, offset: 0, sizeBytes }), sizeBytes };
  const rootfsPath = path.join(work, "rootfs.squashfs");
  await packLayers([layer], rootfsPath, { ...options, hasWhiteouts: false });
  options.onProgress?.({ step: "store", message: "storing the image" });
  const { arch, env, config, recipeDigest } = root;
  return storeImage(paths, work, name, {
    ...{ rootfsPath, format: "squashfs", arch, recipe: "build", env, config },
    recipeDigest: `sha256:${hashText(`${recipeDigest} ${await hashFile(rootfsPath)}`)}`,
  });
}

/** A name in the context as a key. It is never a path of this host; what leads out of the context is nothing in it. */
function normalize(name: string): string {
  const names = name.split("/").filter((part) => part !== "" && part !== ".");
  if (names.includes("..")) throw invalidArchive(`${JSON.stringify(name.slice(0, 200))} leads out of the context`);
  return names.join("/");
}

function missing(name: string): FirebreakError {
  return new FirebreakError("BUILD_FILE_INVALID", `there is no ${JSON.stringify(name.slice(0, 200))} in the context`, {
    hint: "Paths are those of the context, which is what 'image build' was given.",
  });
}
