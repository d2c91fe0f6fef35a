import { createHash } from "node:crypto";
import { invalidArchive, TAR_END, tarPadding } from "../archive/tar-format.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { decompress } from "./compression.ts";
import type { ImageOptions } from "./progress.ts";
import { RootfsTree, type TreeNode } from "./rootfs-tree.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";
import { encodeHeader } from "./tar-writer.ts";
import { runTool } from "./tools.ts";

/** An archive that lies somewhere on this host's disk, as it came: perhaps compressed. Read more than once. */
export interface Layer {
  open: () => AsyncIterable<Buffer>;
  sizeBytes: number;
  /** "sha256:…" of what it is when it is not compressed, where that is known. */
  diffId?: string;
}

/** More than any image of use; what exceeds it is refused before it fills memory, disk or time. */
export interface RootfsLimits {
  /** Members of all layers together: each takes some 400 bytes of memory. */
  maxEntries: number;
  /** Uncompressed bytes of all layers together. */
  maxBytes: number;
}

export const ROOTFS_LIMITS: RootfsLimits = { maxEntries: 500_000, maxBytes: 64 * 1024 ** 3 };

export interface FlattenOptions extends ImageOptions {
  /** Members ".wh.NAME" take NAME of lower layers away, as in an OCI image. */
  hasWhiteouts: boolean;
  limits?: RootfsLimits;
}

const SQUASHFS = { compression: "lz4", blockBytes: 131072 };
/** Small pieces are handed on together: each handing over costs more than copying them. */
const BATCH_BYTES = 64 * 1024;

/**
 * Lays archives over one another and packs what comes of it as a squashfs, without making any of their files on this host: what an
 * archive says is never a path here. The same layers give the same bytes. Throws ARCHIVE_INVALID, IMAGE_TOO_LARGE, HOST_DISK_FULL.
 */
export async function packLayers(layers: readonly Layer[], target: string, options: FlattenOptions): Promise<void> {
  const tree = await indexLayers(layers, options);
  tree.addSystemDirectories();
  const { mode, uid, gid } = tree.root.entry;
  const args = [
    ...["-comp", SQUASHFS.compression, "-b", String(SQUASHFS.blockBytes)],
    ...["-root-mode", mode.toString(8).padStart(4, "0"), "-root-uid", String(uid), "-root-gid", String(gid)],
    ...["-no-progress", "-exit-on-error", target],
  ];
  await runTool("sqfstar", args, {
    input: batched(writeRootfs(tree, layers, options)),
    // The time of the build would make two builds of the same content differ: sqfstar 4.5 gives it to the root whatever -root-time
    // says, but takes nothing later than this.
    env: { ...(options.env ?? process.env), SOURCE_DATE_EPOCH: String(latestTime(tree.root)) },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

function latestTime({ entry, children }: TreeNode): number {
  let latest = entry.mtimeSeconds;
  for (const child of children?.values() ?? []) latest = Math.max(latest, latestTime(child));
  return latest;
}

/** Reads all layers once: what they hold, and whether they are what they are said to be. */
export async function indexLayers(layers: readonly Layer[], options: FlattenOptions): Promise<RootfsTree> {
  const { maxEntries, maxBytes } = options.limits ?? ROOTFS_LIMITS;
  const tree = new RootfsTree();
  const report = progressOf(layers, "unpack", "reading the layers", options);
  let entryCount = 0;
  let bytes = 0;
  for (const layer of layers) {
    const hash = createHash("sha256");
    const counted = async function* () {
      for await (const chunk of decompress(report(layer.open()))) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge(`it unpacks to more than ${maxBytes} bytes`);
        hash.update(chunk);
        yield chunk;
      }
    };
    const entries: TarEntry[] = [];
    for await (const { entry } of readTar(counted())) {
      if (++entryCount > maxEntries) throw tooLarge(`it has more than ${maxEntries} members`);
      entries.push(entry);
    }
    const diffId = `sha256:${hash.digest("hex")}`;
    if (layer.diffId !== undefined && diffId !== layer.diffId)
      throw invalidArchive(`a layer is not what its digest says: ${diffId} instead of ${layer.diffId}`);
    tree.addLayer(entries, options.hasWhiteouts);
  }
  if (!hasFiles(tree.root)) throw invalidArchive("there is no file in it");
  return tree;
}

/** What is left of the layers as one tar: directories first, then content in the order in which the layers have it. */
export async function* writeRootfs(
  tree: RootfsTree,
  layers: readonly Layer[],
  options: ImageOptions,
): AsyncGenerator<Buffer> {
  const { directories, others } = listNodes(tree.root);
  for (const [path, node] of directories) yield encodeHeader({ ...node.entry, path });
  const wanted = layers.map(() => new Map<number, { node: TreeNode; paths: string[] }>());
  for (const [node, paths] of others) {
    if (node.content !== undefined) wanted[node.content.layer]?.set(node.content.ordinal, { node, paths });
    // Nobody misses that two names are one link or device.
    else for (const path of paths) yield encodeHeader({ ...node.entry, path });
  }
  const needed = layers.flatMap((layer, index) => {
    const left = wanted[index];
    return left === undefined || left.size === 0 ? [] : [{ layer, left }];
  });
  const report = progressOf(
    needed.map(({ layer }) => layer),
    "pack",
    "packing the root filesystem",
    options,
  );
  for (const { layer, left } of needed) {
    let ordinal = 0;
    for await (const { content } of readTar(decompress(report(layer.open())))) {
      const found = left.get(ordinal++);
      if (found === undefined) continue;
      const [path = "", ...links] = found.paths;
      yield encodeHeader({ ...found.node.entry, path });
      yield* content();
      yield tarPadding(found.node.entry.sizeBytes);
      for (const link of links)
        yield encodeHeader({
          ...found.node.entry,
          path: link,
          type: "link",
          linkTarget: path,
          sizeBytes: 0,
          xattrs: new Map(),
        });
    }
  }
  yield TAR_END;
}

/** All below the root: directories with their paths, parents first; the rest with all names that each has. */
function listNodes(root: TreeNode) {
  const directories: [path: string, node: TreeNode][] = [];
  const others = new Map<TreeNode, string[]>();
  const visit = (node: TreeNode, prefix: string) => {
    const children = [...(node.children as Map<string, TreeNode>)].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, child] of children) {
      const path = `${prefix}${name}`;
      if (child.children === undefined) {
        const names = others.get(child);
        if (names === undefined) others.set(child, [path]);
        else names.push(path);
        continue;
      }
      directories.push([path, child]);
      visit(child, `${path}/`);
    }
  };
  visit(root, "");
  return { directories, others };
}

function hasFiles(node: TreeNode): boolean {
  for (const child of node.children?.values() ?? []) if (child.content !== undefined || hasFiles(child)) return true;
  return false;
}

/** Counts what is read of all layers, and stops reading when the caller gives up. */
function progressOf(layers: readonly Layer[], step: string, message: string, options: ImageOptions) {
  const total = layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  let done = 0;
  let told = -1;
  return async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      options.signal?.throwIfAborted();
      done += chunk.length;
      const percent = total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100));
      if (percent > told) options.onProgress?.({ step, message, fraction: percent / 100 });
      told = Math.max(told, percent);
      yield chunk;
    }
  };
}

async function* batched(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of source) {
    parts.push(part);
    bytes += part.length;
    if (bytes < BATCH_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

function tooLarge(why: string): FirebreakError {
  return new FirebreakError("IMAGE_TOO_LARGE", `the image is refused: ${why}`);
}
