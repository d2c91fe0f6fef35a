import path from "node:path";
import type { ImagePull, RegistryCredentials } from "../contract/image.ts";
import {
  defaultImageName,
  formatImageReference,
  type ImageReference,
  parseImageReference,
  requireTls,
} from "../contract/image-reference.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { GUEST_ARCH } from "./arch.ts";
import { hashText } from "./digest.ts";
import { packLayers, ROOTFS_LIMITS } from "./flatten.ts";
import { withLock } from "./lock.ts";
import { checkImageName } from "./names.ts";
import {
  choosePlatform,
  digestOf,
  isIndex,
  type Platform,
  parseIndex,
  parseManifest,
  parsePlatform,
  requireDigest,
  toImageConfig,
} from "./oci.ts";
import { type OciImage, readLayout } from "./oci-source.ts";
import type { ImageOptions } from "./progress.ts";
import { copyToLayout, fetchManifest, type Registry } from "./skopeo.ts";
import { type Image, listImages, tagImage, verifyImage, withStoreLock } from "./store.ts";
import { storeImage } from "./store-image.ts";
import { checkFreeSpace, requireTools } from "./tools.ts";
import { withWorkDir } from "./work-dir.ts";

/** Raised when another root filesystem is made of the same layers. */
const REVISION = 1;
/** Besides what is downloaded, what is packed of it: about as much. */
const NEEDED_MIB = 64;

export const DEFAULT_PLATFORM = `linux/${GUEST_ARCH.debArch}`;

export interface PullResult {
  image: Image;
  isUpToDate: boolean;
  warnings: string[];
}

/**
 * Fetches an image from a registry and makes it one of ours. What a tag names is looked up once; from then on the digest counts. Nothing
 * of the image is run. Throws INVALID_ARGUMENT, IMAGE_NOT_FOUND, IMAGE_PLATFORM_MISSING, REGISTRY_UNAUTHORIZED, IMAGE_PULL_FAILED,
 * IMAGE_INVALID, ARCHIVE_INVALID, IMAGE_TOO_LARGE, HOST_DISK_FULL; then nothing has changed.
 */
export async function pullImage(
  paths: FirebreakPaths,
  request: ImagePull,
  options: ImageOptions & { credentials?: RegistryCredentials } = {},
): Promise<PullResult> {
  const reference = parseImageReference(request.reference);
  const name = checkImageName(request.name ?? defaultImageName(reference));
  const tlsVerify = request.tlsVerify ?? true;
  requireTls(reference, tlsVerify);
  await requireTools(["skopeo", "sqfstar"]);
  const { credentials, ...rest } = options;
  const registry: Registry = {
    host: reference.registry,
    tlsVerify,
    ...(credentials === undefined ? {} : { credentials }),
  };
  const onWait = (pid: number) =>
    options.onProgress?.({ step: "wait", message: `waiting for process ${pid}, which makes image ${name}` });
  const lock = { onWait, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  return withLock(path.join(paths.images, ".locks", `${name}.lock`), lock, () =>
    withWorkDir(paths.images, async (work) => {
      const full = formatImageReference(reference);
      const platform = parsePlatform(request.platform ?? DEFAULT_PLATFORM);
      const { top, topDigest, digest } = await fetchTop(registry, reference, platform, work, rest);
      const pinned = (digest: string) => formatImageReference({ ...reference, digest });
      const bytes =
        digest === topDigest ? top : requireDigest(await fetchManifest(registry, pinned(digest), work, rest), digest);
      const manifest = parseManifest(bytes);
      const source = { reference: full, digest: topDigest };
      const found = request.force === true ? undefined : await reuseImage(paths, name, digest);
      if (found !== undefined) return done(found, true, [], options);
      const downloadBytes = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
      if (downloadBytes > ROOTFS_LIMITS.maxBytes)
        throw new FirebreakError("IMAGE_TOO_LARGE", `the image is refused: its layers have ${downloadBytes} bytes`);
      await checkFreeSpace(paths.images, NEEDED_MIB + Math.ceil((2 * downloadBytes) / 2 ** 20));
      const layout = await copyToLayout(registry, pinned(digest), work, downloadBytes, rest);
      const oci = await readLayout(layout, platform);
      const stored = await storeOci(paths, work, name, { ...oci, digest }, { ...rest, recipe: "pull", source });
      return done(stored.image, false, stored.warnings, options);
    }),
  );
}

/**
 * The digest of what a place in a registry holds now: that of the image that is here already, where it is of the same manifest. Fetches manifests alone. Throws
 * as `pullImage` does.
 */
export async function lookUpDigest(
  paths: FirebreakPaths,
  { reference: text, tlsVerify = true }: Pick<ImagePull, "reference" | "tlsVerify">,
  options: ImageOptions,
): Promise<string> {
  const reference = parseImageReference(text);
  requireTls(reference, tlsVerify);
  await requireTools(["skopeo"]);
  return withWorkDir(paths.images, async (work) => {
    const registry = { host: reference.registry, tlsVerify };
    const platform = parsePlatform(DEFAULT_PLATFORM);
    const { topDigest, digest } = await fetchTop(registry, reference, platform, work, options);
    const recipeDigest = recipeDigestOf(digest);
    const here = (await listImages(paths)).find((image) => image.recipeDigest === recipeDigest);
    return here?.source?.digest ?? topDigest;
  });
}

/** What a reference names, as the registry sends it, and the digest of its manifest for a platform. */
async function fetchTop(
  registry: Registry,
  reference: ImageReference,
  platform: Platform,
  work: string,
  options: ImageOptions,
): Promise<{ top: Buffer; topDigest: string; digest: string }> {
  const full = formatImageReference(reference);
  options.onProgress?.({ step: "resolve", message: `asking ${reference.registry} for ${full}` });
  const top = await fetchManifest(registry, full, work, options);
  const topDigest = digestOf(top);
  if (reference.digest !== undefined) requireDigest(top, reference.digest);
  return { top, topDigest, digest: isIndex(top) ? choosePlatform(parseIndex(top), platform).digest : topDigest };
}

function done(image: Image, isUpToDate: boolean, warnings: string[], options: ImageOptions): PullResult {
  options.onProgress?.({ step: "done", message: isUpToDate ? "it is up to date" : "the image is ready", fraction: 1 });
  return { image, isUpToDate, warnings };
}

/** An image that has been made of the same manifest before, whole, under the name asked for; undefined when there is none. */
export async function reuseImage(paths: FirebreakPaths, name: string, ociDigest: string): Promise<Image | undefined> {
  const recipeDigest = recipeDigestOf(ociDigest);
  return withStoreLock(paths, async () => {
    const found = (await listImages(paths)).find((image) => image.recipeDigest === recipeDigest);
    if (found === undefined) return undefined;
    const isWhole = await verifyImage(found, { deep: true }).then(
      () => true,
      () => false,
    );
    if (!isWhole) return undefined;
    await tagImage(paths, found.digest, name);
    return { ...found, tags: [...new Set([...found.tags, name])].sort() };
  });
}

/** Makes an image of an OCI image whose parts are on the disk. */
export async function storeOci(
  paths: FirebreakPaths,
  work: string,
  name: string,
  oci: OciImage,
  options: ImageOptions & { recipe: string; source?: { reference: string; digest: string } },
): Promise<{ image: Image; warnings: string[] }> {
  const rootfsPath = path.join(work, "rootfs.squashfs");
  await packLayers(oci.layers, rootfsPath, { ...options, hasWhiteouts: true });
  options.onProgress?.({ step: "store", message: "storing the image" });
  const { config, env, warnings } = toImageConfig(oci.config);
  const image = await storeImage(paths, work, name, {
    rootfsPath,
    format: "squashfs",
    arch: oci.config.architecture,
    recipe: options.recipe,
    recipeDigest: recipeDigestOf(oci.digest),
    env,
    config,
    ...(options.source === undefined ? {} : { source: options.source }),
  });
  return { image, warnings };
}

function recipeDigestOf(ociDigest: string): string {
  return `sha256:${hashText(JSON.stringify(["oci", REVISION, ociDigest]))}`;
}
