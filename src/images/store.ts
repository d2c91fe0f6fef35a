import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { ImageConfig } from "../contract/image.ts";
import {
  formatImageReference,
  isRegistryReference,
  parseImageReference,
  placeName,
} from "../contract/image-reference.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { hashFile, hashText } from "./digest.ts";
import { withLock } from "./lock.ts";
import { checkImageName, digestFolder, isDigest } from "./names.ts";
import { removeTree, writeFileAtomic } from "./work-dir.ts";

/** image.json: what an image is. The folder that holds it is immutable. */
export interface ImageManifest {
  /** "sha256:…" of the root filesystem file; where there is a `rootfsDigest`, of that and all that goes with it (identifyImage). */
  digest: string;
  /** "sha256:…" of the root filesystem file of an image that has a configuration of its own. */
  rootfsDigest?: string;
  /** The name it was built under; tags may differ. */
  name: string;
  createdAt: string;
  sizeBytes: number;
  /** Of the root filesystem file; tells in no time that nobody has touched it. */
  mtimeMs: number;
  format: "squashfs" | "erofs";
  arch: string;
  recipe: string;
  /** Digest of everything that decided the content. */
  recipeDigest: string;
  /** Of Debian packages, where they have been counted. */
  packageCount?: number;
  /** Base environment of every command in a VM of this image. */
  env: Record<string, string>;
  config?: ImageConfig;
  /** Where it was pulled from, and the digest that it had there. */
  source?: { reference: string; digest: string };
}

export interface Image extends ImageManifest {
  folder: string;
  rootfsPath: string;
  /** Names that point at it, sorted. */
  tags: string[];
}

/** The digest of an image that is more than its root filesystem: two with one content and different commands are two. */
export function identifyImage(
  image: Pick<ImageManifest, "arch" | "env" | "config"> & { rootfsDigest: string },
): string {
  const { rootfsDigest, arch, env, config } = image;
  const { entrypoint = [], cmd = [], workingDir = null, user = null } = config ?? {};
  const sortedEnv = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  return `sha256:${hashText(JSON.stringify([1, rootfsDigest, arch, sortedEnv, entrypoint, cmd, workingDir, user]))}`;
}

/** Runs `use` while no other process or caller adds, names or removes images: each of these is a moment's work. */
export function withStoreLock<T>(paths: FirebreakPaths, use: () => Promise<T>): Promise<T> {
  return withLock(path.join(paths.images, ".locks", ".store.lock"), { pollMs: 20 }, use);
}

/** All images, newest first. */
export async function listImages(paths: FirebreakPaths): Promise<Image[]> {
  const tags = await readTags(paths);
  const names = await readdir(paths.images).catch(() => [] as string[]);
  const images: Image[] = [];
  for (const name of names) {
    if (!/^[0-9a-f]{16}$/.test(name)) continue;
    const image = await readImage(path.join(paths.images, name), tags);
    if (image !== undefined) images.push(image);
  }
  return images.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
}

/** The image with that name, digest ("sha256:…"), beginning of a digest (at least 8 hex digits), or place in a registry that it was pulled from. Throws IMAGE_NOT_FOUND. */
export async function getImage(paths: FirebreakPaths, nameOrDigest: string): Promise<Image> {
  const image = await findImage(paths, nameOrDigest);
  if (image !== undefined) return image;
  if (isRegistryReference(nameOrDigest))
    throw new FirebreakError("IMAGE_NOT_FOUND", `nothing has been pulled from ${JSON.stringify(nameOrDigest)}`, {
      hint: `Pull it: firebreak image pull ${nameOrDigest}`,
    });
  const known = (await listImages(paths)).flatMap((image) => image.tags).sort();
  const hint =
    known.length > 0
      ? `There are: ${known.join(", ")}. 'firebreak image build debian' builds the default one, 'firebreak image pull' gets others.`
      : "There is none yet; 'firebreak image build debian' builds the default one, 'firebreak image pull' gets others.";
  throw new FirebreakError("IMAGE_NOT_FOUND", `no image is called ${JSON.stringify(nameOrDigest)}`, { hint });
}

/** As getImage, but undefined when there is none. */
export async function findImage(paths: FirebreakPaths, nameOrDigest: string): Promise<Image | undefined> {
  const tags = await readTags(paths);
  const tagged = tags.get(nameOrDigest);
  if (tagged !== undefined) return readImage(path.join(paths.images, digestFolder(tagged)), tags);
  if (isDigest(nameOrDigest)) {
    const image = await readImage(path.join(paths.images, digestFolder(nameOrDigest)), tags);
    return image?.digest === nameOrDigest ? image : undefined;
  }
  if (isRegistryReference(nameOrDigest)) return findPulled(paths, nameOrDigest, tags);
  if (!/^(sha256:)?[0-9a-f]{8,64}$/.test(nameOrDigest)) return undefined;
  const start = `sha256:${nameOrDigest.replace(/^sha256:/, "")}`;
  const matches = (await listImages(paths)).filter((image) => image.digest.startsWith(start));
  return matches.length === 1 ? matches[0] : undefined;
}

/** The newest image that was pulled from there; or, of one that was pulled from there by its digest, what has the place's name. */
async function findPulled(
  paths: FirebreakPaths,
  text: string,
  tags: ReadonlyMap<string, string>,
): Promise<Image | undefined> {
  const reference = parseImageReference(text);
  const full = formatImageReference(reference);
  const images = await listImages(paths);
  const named = tags.get(placeName(reference));
  return (
    images.find(
      ({ source }) => source !== undefined && (source.reference === full || source.digest === reference.digest),
    ) ?? images.find(({ digest }) => digest === named)
  );
}

/**
 * Points a name at an image; an older image of that name stays, without it. Whoever may meet a deletion holds the store's lock. Throws
 * INVALID_NAME or IMAGE_NOT_FOUND.
 */
export async function tagImage(paths: FirebreakPaths, nameOrDigest: string, name: string): Promise<void> {
  checkImageName(name);
  const image = await getImage(paths, nameOrDigest);
  await mkdir(tagsFolder(paths), { recursive: true });
  await writeFileAtomic(path.join(tagsFolder(paths), name), `${image.digest}\n`);
}

/** Takes a name away; the image stays. Throws IMAGE_NOT_FOUND when nothing has that name. */
export async function untagImage(paths: FirebreakPaths, name: string): Promise<void> {
  const image = await getImage(paths, name);
  if (!image.tags.includes(name))
    throw new FirebreakError("IMAGE_NOT_FOUND", `${JSON.stringify(name)} is no name of an image`, {
      hint: image.tags.length === 0 ? "That image has none." : `That image is called ${image.tags.join(", ")}.`,
    });
  await rm(path.join(tagsFolder(paths), name), { force: true });
}

/**
 * Deletes an image and every name that points at it. Whether it is in use is for the caller to know: `isStillUnused` is asked once
 * nobody can begin to use it any more, and the image comes back when the answer is no. Returns whether it is gone. Throws IMAGE_NOT_FOUND.
 */
export async function deleteImage(
  paths: FirebreakPaths,
  nameOrDigest: string,
  isStillUnused: () => Promise<boolean> = async () => true,
): Promise<boolean> {
  const image = await getImage(paths, nameOrDigest);
  // Gone by one rename; being killed afterwards leaves a folder that no list shows and the next build removes, and names of nothing.
  const doomed = path.join(paths.images, `.work-0-0-${digestFolder(image.digest).slice(0, 8)}`);
  await removeTree(doomed);
  await rename(image.folder, doomed);
  if (!(await isStillUnused())) {
    await rename(doomed, image.folder);
    return false;
  }
  for (const tag of image.tags) await rm(path.join(tagsFolder(paths), tag), { force: true });
  await removeTree(doomed);
  return true;
}

/**
 * Checks an image before use: that the file has its size, and with `deep` that its content has the digest (about half a
 * second for 200 MB). Throws IMAGE_CORRUPT.
 */
export async function verifyImage(image: Image, options: { deep?: boolean } = {}): Promise<void> {
  const found = await stat(image.rootfsPath).catch(() => undefined);
  if (found === undefined) throw corrupt(image, "its file is missing");
  if (found.size !== image.sizeBytes) {
    throw corrupt(image, `its file has ${found.size} bytes instead of ${image.sizeBytes}`);
  }
  if (options.deep !== true) return;
  const { rootfsDigest } = image;
  const isConfigIntact = rootfsDigest === undefined || identifyImage({ ...image, rootfsDigest }) === image.digest;
  if (!isConfigIntact || `sha256:${await hashFile(image.rootfsPath)}` !== (rootfsDigest ?? image.digest)) {
    throw corrupt(image, "its content does not match its digest");
  }
}

/** The image in a folder, or undefined when there is none or its image.json is not one. */
export async function readImage(folder: string, tags: Map<string, string>): Promise<Image | undefined> {
  const text = await readFile(path.join(folder, "image.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const manifest = parseManifest(text);
  if (manifest === undefined) return undefined;
  const own = [...tags].filter(([, digest]) => digest === manifest.digest).map(([name]) => name);
  return { ...manifest, folder, rootfsPath: path.join(folder, `rootfs.${manifest.format}`), tags: own.sort() };
}

/** Names and the digests that they point at. */
export async function readTags(paths: FirebreakPaths): Promise<Map<string, string>> {
  const names = await readdir(tagsFolder(paths)).catch(() => [] as string[]);
  const tags = new Map<string, string>();
  for (const name of names) {
    const digest = (await readFile(path.join(tagsFolder(paths), name), "utf8").catch(() => "")).trim();
    // The temporary files of writeFileAtomic have names of their own; half-deleted ones have no digest.
    if (isDigest(digest) && !/\.\d+\.[0-9a-f]{8}$/.test(name)) tags.set(name, digest);
  }
  return tags;
}

function tagsFolder(paths: FirebreakPaths): string {
  return path.join(paths.images, "tags");
}

function parseManifest(text: string): ImageManifest | undefined {
  try {
    const value = JSON.parse(text) as Partial<ImageManifest>;
    const isManifest =
      typeof value.digest === "string" && isDigest(value.digest) && typeof value.sizeBytes === "number";
    return isManifest && (value.format === "squashfs" || value.format === "erofs")
      ? (value as ImageManifest)
      : undefined;
  } catch {
    return undefined;
  }
}

function corrupt(image: Image, reason: string): FirebreakError {
  const name = image.tags[0] ?? image.name;
  return new FirebreakError("IMAGE_CORRUPT", `image ${name} is corrupt: ${reason}`, {
    hint: howToRenew(image, name),
    details: { digest: image.digest, file: image.rootfsPath },
  });
}

function howToRenew(image: Image, name: string): string {
  if (image.source !== undefined) return `firebreak image pull ${image.source.reference} --name ${name} --force`;
  const isRecipe = image.rootfsDigest === undefined;
  return isRecipe
    ? `firebreak image build ${image.name} --force`
    : `Delete it and import it again: firebreak image delete ${name}`;
}

/** Removes names that point at nothing: a deletion that was cut off leaves such. The caller holds the store's lock. */
export async function removeNamesOfNothing(paths: FirebreakPaths): Promise<void> {
  const digests = new Set((await listImages(paths)).map((image) => image.digest));
  for (const [name, digest] of await readTags(paths))
    if (!digests.has(digest)) await rm(path.join(tagsFolder(paths), name), { force: true });
}
