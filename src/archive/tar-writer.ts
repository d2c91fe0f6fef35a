import { BLOCK_BYTES, tarPadding } from "./tar-format.ts";

/** What an archive is written from. `path` and `target` are bytes: names need not be UTF-8. */
export interface TarItem {
  path: Buffer;
  type: "file" | "directory" | "symlink";
  mode: number;
  mtimeMs: number;
  sizeBytes: number;
  target?: Buffer;
  /** Where a file's content is when that is another path. */
  source?: Buffer;
}

const NAME_BYTES = 100;
/** Largest number that eleven octal digits hold: 8 GiB - 1. */
const MAX_OCTAL = 0o77777777777;

/** The blocks before an entry's content; names that do not fit get GNU entries of their own, which the guest agent reads. */
export function tarHead(item: TarItem): Buffer {
  const name = item.type === "directory" ? Buffer.concat([item.path, Buffer.from("/")]) : item.path;
  const blocks: Buffer[] = [];
  if (item.target !== undefined && item.target.length > NAME_BYTES) blocks.push(longName("K", item.target));
  if (name.length > NAME_BYTES) blocks.push(longName("L", name));
  const flag = item.type === "file" ? "0" : item.type === "directory" ? "5" : "2";
  const sizeBytes = item.type === "file" ? item.sizeBytes : 0;
  blocks.push(block({ ...item, name, flag, sizeBytes }));
  return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks);
}

function longName(flag: "K" | "L", name: Buffer): Buffer {
  const sizeBytes = name.length + 1; // with its NUL
  const head = block({ name: Buffer.from("././@LongLink"), flag, mode: 0, mtimeMs: 0, sizeBytes });
  return Buffer.concat([head, name, Buffer.alloc(1), tarPadding(sizeBytes)]);
}

function block(item: {
  name: Buffer;
  flag: string;
  mode: number;
  mtimeMs: number;
  sizeBytes: number;
  target?: Buffer;
}): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  item.name.copy(bytes, 0, 0, NAME_BYTES);
  putNumber(bytes, item.mode & 0o777, 100, 8);
  putNumber(bytes, 0, 108, 8);
  putNumber(bytes, 0, 116, 8);
  putNumber(bytes, item.sizeBytes, 124, 12);
  putNumber(bytes, Math.max(0, Math.floor(item.mtimeMs / 1000)), 136, 12);
  bytes.fill(0x20, 148, 156);
  bytes.write(item.flag, 156, "latin1");
  item.target?.copy(bytes, 157, 0, NAME_BYTES);
  bytes.write("ustar  \0", 257, "latin1");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function putNumber(bytes: Buffer, value: number, at: number, length: number): void {
  if (value <= MAX_OCTAL) {
    bytes.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
    return;
  }
  bytes[at] = 0x80;
  bytes.writeBigUInt64BE(BigInt(value), at + length - 8);
}
