import { FirebreakError } from "../errors/firebreak-error.ts";
import { joinPath } from "./confined-path.ts";
import { type HostTree, TEMPORARY_PREFIX } from "./host-tree.ts";
import { TAR_END, tarPadding } from "./tar-format.ts";
import { type TarItem, tarHead } from "./tar-writer.ts";

/** Small pieces are gathered: an archive of small files is mostly heads of 512 bytes. */
const CHUNK_BYTES = 128 * 1024;
const READ_BYTES = 256 * 1024;

/** What is in a host directory, as items of an archive. */
export interface WalkOptions {
  /** Called with what an archive cannot hold: devices, FIFOs, sockets. */
  onSpecial: (path: Buffer) => void;
}

/** Everything below the tree's root, folders before their content, in the order of the names. Sizes are read again when a file is opened. */
export async function* walkTree(tree: HostTree, { onSpecial }: WalkOptions): AsyncGenerator<TarItem> {
  const waiting: Buffer[] = [Buffer.alloc(0)];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const entries = (await tree.list(folder)).sort((a, b) => Buffer.compare(a.name, b.name));
    const folders: Buffer[] = [];
    for (const { name } of entries) {
      if (name.toString("latin1").startsWith(TEMPORARY_PREFIX)) continue;
      const path = folder.length === 0 ? name : joinPath([folder, name]);
      const info = await tree.stat(path);
      // Gone since it was listed.
      if (info === undefined) continue;
      const base = { path, mode: info.mode & 0o777, mtimeMs: info.mtimeMs, sizeBytes: info.size };
      if (info.isDirectory()) {
        folders.push(path);
        yield { ...base, type: "directory" };
      } else if (info.isFile()) yield { ...base, type: "file" };
      else if (info.isSymbolicLink()) yield { ...base, type: "symlink", target: await tree.readLink(path) };
      else onSpecial(path);
    }
    waiting.push(...folders.reverse());
  }
}

/**
 * A tar stream of items, with the files' content out of the tree. A file that shrinks or grows while it is read is padded or cut to the size that it
 * had when it was opened; `onFile` is told what was sent.
 */
export async function* packTree(
  tree: HostTree,
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
  onFile: (
    item: TarItem,
    content: { sizeBytes: number; mode: number; mtimeMs: number },
  ) => { update: (piece: Buffer) => void; end: () => void } = () => IGNORED,
): AsyncGenerator<Buffer> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  const flush = () => {
    const chunk = Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
    return chunk;
  };
  const add = (piece: Buffer) => {
    gathered.push(piece);
    bytes += piece.length;
  };
  for await (const item of items) {
    if (item.type !== "file") add(tarHead(item));
    else {
      const opened = await openIfThere(tree, item.source ?? item.path);
      if (opened === undefined) continue;
      const { handle, info } = opened;
      try {
        const sink = onFile(item, { sizeBytes: info.size, mode: info.mode, mtimeMs: info.mtimeMs });
        add(tarHead({ ...item, mode: info.mode & 0o777, mtimeMs: info.mtimeMs, sizeBytes: info.size }));
        for (let at = 0; at < info.size; ) {
          const piece = await readPiece(handle, at, Math.min(READ_BYTES, info.size - at));
          sink.update(piece);
          add(piece);
          at += piece.length;
          if (bytes >= CHUNK_BYTES) yield flush();
        }
        sink.end();
        add(tarPadding(info.size));
      } finally {
        await handle.close();
      }
    }
    if (bytes >= CHUNK_BYTES) yield flush();
  }
  add(TAR_END);
  yield flush();
}

/** Undefined for a file that has gone since it was listed. */
function openIfThere(tree: HostTree, path: Buffer) {
  return tree.openFile(path).catch((error: unknown) => {
    if (error instanceof FirebreakError && error.code === "HOST_PATH_NOT_FOUND") return undefined;
    throw error;
  });
}

const IGNORED = { update: () => {}, end: () => {} };

/** A piece of that length; zeros where the file has ended meanwhile. */
async function readPiece(handle: import("node:fs/promises").FileHandle, at: number, length: number): Promise<Buffer> {
  const piece = Buffer.alloc(length);
  const { bytesRead } = await handle.read(piece, 0, length, at);
  return bytesRead === 0 ? piece : piece.subarray(0, bytesRead);
}
