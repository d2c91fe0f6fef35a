import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";

/** One image as a test makes it; every part may be replaced by what no honest tool would write. */
export interface OciImageSpec {
  /** Uncompressed tars, the lowest first. */
  layers: Buffer[];
  config?: Record<string, unknown>;
  architecture?: string;
  /** As `repo:tag`, in the index. */
  name?: string;
  diffIds?: string[];
}

export interface WrittenImage {
  digest: string;
  sizeBytes: number;
  platform: { os: string; architecture: string };
}

const MEDIA = "application/vnd.oci.image";

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Writes an image into a layout's blobs; returns its manifest's digest. */
export async function writeImage(folder: string, spec: OciImageSpec): Promise<WrittenImage> {
  const architecture = spec.architecture ?? "amd64";
  const layers = [];
  for (const layer of spec.layers) {
    const blob = gzipSync(layer);
    layers.push({ mediaType: `${MEDIA}.layer.v1.tar+gzip`, ...(await writeBlob(folder, blob)) });
  }
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      config: spec.config ?? {},
      rootfs: { type: "layers", diff_ids: spec.diffIds ?? spec.layers.map(sha256) },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: { mediaType: `${MEDIA}.config.v1+json`, ...(await writeBlob(folder, config)) },
      layers,
    }),
  );
  const { digest, size } = await writeBlob(folder, manifest);
  return { digest, sizeBytes: size, platform: { os: "linux", architecture } };
}

/** An OCI layout with images beside one another; several `platforms` of one image are one index. */
export async function writeLayout(
  folder: string,
  images: OciImageSpec[],
  platforms: OciImageSpec[] = [],
): Promise<string[]> {
  await mkdir(path.join(folder, "blobs/sha256"), { recursive: true });
  await writeFile(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const entries = [];
  for (const spec of images) {
    const { digest, sizeBytes } = await writeImage(folder, spec);
    const annotations =
      spec.name === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": spec.name } };
    entries.push({ mediaType: `${MEDIA}.manifest.v1+json`, digest, size: sizeBytes, ...annotations });
  }
  if (platforms.length > 0) {
    const manifests = [];
    for (const spec of platforms) {
      const { digest, sizeBytes, platform } = await writeImage(folder, spec);
      manifests.push({ mediaType: `${MEDIA}.manifest.v1+json`, digest, size: sizeBytes, platform });
    }
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests }));
    const annotations = { "org.opencontainers.image.ref.name": "several" };
    entries.push({ mediaType: `${MEDIA}.index.v1+json`, ...(await writeBlob(folder, index)), annotations });
  }
  await writeFile(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: entries }));
  return entries.map(({ digest }) => digest);
}

async function writeBlob(folder: string, bytes: Buffer): Promise<{ digest: string; size: number }> {
  const digest = sha256(bytes);
  await mkdir(path.join(folder, "blobs/sha256"), { recursive: true });
  await writeFile(path.join(folder, "blobs/sha256", digest.slice("sha256:".length)), bytes);
  return { digest, size: bytes.length };
}
