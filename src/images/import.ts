import path from "node:path";
import type { ImportFormat } from "../contract/image.ts";
import { defaultImageName, parseImageReference } from "../contract/image-reference.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { GUEST_ARCH } from "./arch.ts";
import { indexArchive, readPart, spool } from "./archive-files.ts";
import { hashFile, hashText } from "./digest.ts";
import { packLayers } from "./flatten.ts";
import { checkImageName } from "./names.ts";
import { parsePlatform } from "./oci.ts";
import { readDockerArchive, readOciArchive } from "./oci-source.ts";
import type { ImageOptions } from "./progress.ts";
import { DEFAULT_PLATFORM, type PullResult, reuseImage, storeOci } from "./pull.ts";
import { storeImage } from "./store-image.ts";
import { requireTools } from "./tools.ts";
import { withWorkDir } from "./work-dir.ts";

export interface ImportRequest {
  name?: string | undefined;
  format: ImportFormat;
  /** Which image of an archive that holds several. */
  reference?: string | undefined;
  platform?: string | undefined;
}

/** An import between its two halves: the archive is here, the image is not yet. */
export interface ReceivedArchive {
  /** Makes the image. */
  finish: (options: ImageOptions) => Promise<PullResult>;
}

/**
 * Takes an archive in from its sender, who may be anybody: no path of this host is ever read for an import. `use` makes the image of it;
 * when it is over nothing is left of the archive. Throws INVALID_NAME, INVALID_ARGUMENT, ARCHIVE_INVALID, IMAGE_TOO_LARGE, HOST_DISK_FULL.
 */
export async function receiveArchive<T>(
  paths: FirebreakPaths,
  request: ImportRequest,
  body: AsyncIterable<Buffer>,
  use: (received: ReceivedArchive) => Promise<T>,
): Promise<T> {
  const name = checkImageName(request.name ?? nameOf(request));
  await requireTools(["sqfstar", "xz"]);
  return withWorkDir(paths.images, async (work) => {
    const file = path.join(work, "archive.tar");
    const sizeBytes = await spool(body, file);
    const finish = (options: ImageOptions) =>
      request.format === "rootfs"
        ? importRootfs(paths, work, name, { file, offset: 0, sizeBytes }, options)
        : importOci(paths, work, name, file, request, options);
    return use({ finish });
  });
}

function nameOf({ format, reference }: ImportRequest): string {
  if (format !== "rootfs" && reference !== undefined && !reference.startsWith("sha256:"))
    return defaultImageName(parseImageReference(reference));
  throw new FirebreakError("INVALID_ARGUMENT", "the image needs a name", { hint: "Give it one: --name NAME" });
}

async function importRootfs(
  paths: FirebreakPaths,
  work: string,
  name: string,
  part: { file: string; offset: number; sizeBytes: number },
  options: ImageOptions,
): Promise<PullResult> {
  const rootfsPath = path.join(work, "rootfs.squashfs");
  const layer = { open: () => readPart(part), sizeBytes: part.sizeBytes };
  await packLayers([layer], rootfsPath, { ...options, hasWhiteouts: false });
  options.onProgress?.({ step: "store", message: "storing the image" });
  const image = await storeImage(paths, work, name, {
    rootfsPath,
    format: "squashfs",
    arch: GUEST_ARCH.debArch,
    recipe: "import",
    recipeDigest: `sha256:${hashText(JSON.stringify(["rootfs", await hashFile(rootfsPath)]))}`,
    env: {},
    config: { entrypoint: [], cmd: [] },
  });
  return { image, isUpToDate: false, warnings: [] };
}

async function importOci(
  paths: FirebreakPaths,
  work: string,
  name: string,
  file: string,
  request: ImportRequest,
  options: ImageOptions,
): Promise<PullResult> {
  const parts = await indexArchive(file);
  const platform = parsePlatform(request.platform ?? DEFAULT_PLATFORM);
  const read = request.format === "oci-archive" ? readOciArchive : readDockerArchive;
  const oci = await read(parts, request.reference, platform);
  const found = await reuseImage(paths, name, oci.digest);
  if (found !== undefined) return { image: found, isUpToDate: true, warnings: [] };
  const stored = await storeOci(paths, work, name, oci, { ...options, recipe: "import" });
  return { ...stored, isUpToDate: false };
}
