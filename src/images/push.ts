import { existsSync } from "node:fs";
import type { ImagePush, RegistryCredentials } from "../contract/image.ts";
import { formatImageReference, parsePushReference, requireTls } from "../contract/image-reference.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { writeOciLayout } from "./oci-writer.ts";
import type { ImageOptions } from "./progress.ts";
import { copyFromLayout } from "./skopeo.ts";
import { getImage, type Image, verifyImage } from "./store.ts";
import { checkFreeSpace, requireTools } from "./tools.ts";
import { withWorkDir } from "./work-dir.ts";

/** Besides the layer, which is about as large as the image. */
const NEEDED_MIB = 64;

export interface PushResult {
  image: Image;
  /** Written out, with the tag. */
  reference: string;
  /** "sha256:…" of the manifest, as the registry has it. */
  digest: string;
  /** Of the layer as it is sent, bytes. */
  layerBytes: number;
}

/**
 * Publishes one of our images in a registry, as an OCI image of one layer. Nothing here changes by it. Throws INVALID_ARGUMENT,
 * IMAGE_NOT_FOUND, IMAGE_CORRUPT, REGISTRY_UNAUTHORIZED, IMAGE_PUSH_FAILED, TOOL_NOT_FOUND, HOST_DISK_FULL.
 */
export async function pushImage(
  paths: FirebreakPaths,
  nameOrDigest: string,
  request: ImagePush,
  options: ImageOptions & { credentials?: RegistryCredentials } = {},
): Promise<PushResult> {
  const target = parsePushReference(request.reference);
  const tlsVerify = request.tlsVerify ?? true;
  requireTls(target, tlsVerify);
  await requireTools(["skopeo", "sqfs2tar"]);
  const { credentials, ...rest } = options;
  const registry = { host: target.registry, tlsVerify, ...(credentials === undefined ? {} : { credentials }) };
  const image = await getImage(paths, nameOrDigest);
  options.onProgress?.({ step: "verify", message: `checking the image ${image.digest.slice(0, 19)}` });
  // What is damaged here is not to be handed out.
  await verifyImage(image, { deep: true });
  return withWorkDir(paths.images, async (work) => {
    await checkFreeSpace(paths.images, NEEDED_MIB + Math.ceil(image.sizeBytes / 2 ** 20));
    const layout = await writeOciLayout(image, work, rest).catch((error: unknown) => {
      if (existsSync(image.rootfsPath)) throw error;
      throw new FirebreakError("IMAGE_NOT_FOUND", `the image ${image.digest} was deleted meanwhile`, { cause: error });
    });
    const reference = formatImageReference(target);
    const digest = await copyFromLayout(registry, reference, work, layout, rest);
    options.onProgress?.({ step: "done", message: "the image is in the registry", fraction: 1 });
    return { image, reference, digest, layerBytes: layout.layerBytes };
  });
}
