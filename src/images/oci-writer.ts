import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readCommand } from "../platform/process.ts";
import { digestOf } from "./oci.ts";
import type { ImageOptions } from "./progress.ts";
import type { Image } from "./store.ts";

const MEDIA_TYPE = "application/vnd.oci.image";
/** Progress is told each time that so much more has been read, bytes. */
const TOLD_BYTES = 16 * 1024 * 1024;

/** What has been written of an image. */
export interface WrittenLayout {
  folder: string;
  /** The layer's file, which is nearly all that there is to send. */
  layerPath: string;
  layerBytes: number;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/**
 * Writes one of our images into `work` as an OCI layout with one image: a layer that is all of its root filesystem, and its configuration.
 * The squashfs is read as a stream and its files are never made on this host, so that no root is needed for their owners and devices. The
 * same image gives the same bytes. Throws TOOL_FAILED or HOST_DISK_FULL.
 */
export async function writeOciLayout(image: Image, work: string, options: ImageOptions): Promise<WrittenLayout> {
  const folder = path.join(work, "layout");
  const blobs = path.join(folder, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const layer = await writeLayer(image, path.join(work, "layer"), options);
  const layerPath = path.join(blobs, layer.digest.slice("sha256:".length));
  await rename(path.join(work, "layer"), layerPath);
  const writeBlob = async (kind: string, value: unknown): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(path.join(blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType: `${MEDIA_TYPE}.${kind}.v1+json`, digest, size: bytes.length };
  };
  const config = await writeBlob("config", toOciConfig(image, layer.diffId));
  const { mediaType, digest, size } = layer;
  const manifest = await writeBlob("manifest", {
    schemaVersion: 2,
    mediaType: `${MEDIA_TYPE}.manifest.v1+json`,
    config,
    layers: [{ mediaType, digest, size }],
  });
  const annotations = { "org.opencontainers.image.ref.name": "image" };
  await writeFile(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(path.join(folder, "index.json"), JSON.stringify(index));
  return { folder, layerPath, layerBytes: size };
}

/** An image's wishes as the OCI image specification has them (config.md); what it wishes nothing of is left out. */
export function toOciConfig(image: Pick<Image, "arch" | "createdAt" | "env" | "config">, diffId: string) {
  const { entrypoint = [], cmd = [], workingDir, user } = image.config ?? {};
  // Sorted, as in the image's digest: the same image is the same configuration.
  const env = Object.entries(image.env).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    created: image.createdAt,
    architecture: image.arch,
    os: "linux",
    config: {
      ...(env.length === 0 ? {} : { Env: env.map(([name, value]) => `${name}=${value}`) }),
      ...(entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
      ...(cmd.length === 0 ? {} : { Cmd: cmd }),
      ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
      ...(user === undefined ? {} : { User: user }),
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
  };
}

async function writeLayer(
  image: Image,
  target: string,
  options: ImageOptions,
): Promise<Descriptor & { diffId: string }> {
  if (image.format !== "squashfs")
    throw new FirebreakError("IMAGE_INVALID", `an image whose root filesystem is ${image.format} cannot be pushed`);
  const diff = createHash("sha256");
  const packed = createHash("sha256");
  let size = 0;
  // Open from here on: a deletion meanwhile takes nothing from us.
  const rootfs = await open(image.rootfsPath, "r");
  const read = async function* () {
    let bytes = 0;
    let toldAt = -TOLD_BYTES;
    for await (const chunk of readCommand("sqfs2tar", [
      // What a tar cannot hold fails the whole, rather than being left out; "./" is the root, with its owner and mode.
      ...["--no-skip", "--root-becomes", "."],
      `/proc/${process.pid}/fd/${rootfs.fd}`,
    ])) {
      options.signal?.throwIfAborted();
      bytes += chunk.length;
      if (bytes - toldAt >= TOLD_BYTES) {
        toldAt = bytes;
        const message = `packing the root filesystem: ${Math.floor(bytes / 2 ** 20)} MiB`;
        options.onProgress?.({ step: "pack", message });
      }
      diff.update(chunk);
      yield chunk;
    }
  };
  const count = async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      packed.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  try {
    await pipeline(
      Readable.from(read(), { objectMode: false }),
      createGzip({ chunkSize: 256 * 1024 }),
      count,
      createWriteStream(target, { flags: "wx" }),
    );
  } finally {
    await rootfs.close();
  }
  options.onProgress?.({ step: "pack", message: "the root filesystem is packed", fraction: 1 });
  return {
    mediaType: `${MEDIA_TYPE}.layer.v1.tar+gzip`,
    digest: `sha256:${packed.digest("hex")}`,
    size,
    diffId: `sha256:${diff.digest("hex")}`,
  };
}
