import { BLOCK_BYTES, tarPadding } from "../archive/tar-format.ts";
import type { TarEntry } from "./tar-reader.ts";

const TYPE_FLAGS: Record<TarEntry["type"], string> = {
  file: "0",
  link: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** A member's header, with an extended one (pax) before it where the old form has no room. Texts are latin1, as in the reader. */
export function encodeHeader(entry: Omit<TarEntry, "offset">): Buffer {
  const records: [key: string, value: string][] = [];
  if (entry.path.length > 100) records.push(["path", entry.path]);
  if (entry.linkTarget.length > 100) records.push(["linkpath", entry.linkTarget]);
  if (entry.sizeBytes > 0o77777777777) records.push(["size", String(entry.sizeBytes)]);
  if (entry.uid > 0o7777777) records.push(["uid", String(entry.uid)]);
  if (entry.gid > 0o7777777) records.push(["gid", String(entry.gid)]);
  for (const [name, value] of entry.xattrs) records.push([`SCHILY.xattr.${name}`, value]);
  const header = encodeBlock(entry, TYPE_FLAGS[entry.type]);
  if (records.length === 0) return header;
  const body = Buffer.from(records.map(encodeRecord).join(""), "latin1");
  const pax = {
    ...entry,
    path: "pax",
    linkTarget: "",
    sizeBytes: body.length,
    uid: 0,
    gid: 0,
    deviceMajor: 0,
    deviceMinor: 0,
  };
  return Buffer.concat([encodeBlock(pax, "x"), body, tarPadding(body.length), header]);
}

function encodeBlock(entry: Omit<TarEntry, "offset" | "xattrs">, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, from: number, length: number) =>
    block.write(
      value
        .toString(8)
        .padStart(length - 1, "0")
        .slice(-(length - 1)),
      from,
      "latin1",
    );
  block.write(entry.path.slice(0, 100), 0, "latin1");
  octal(entry.mode, 100, 8);
  octal(entry.uid > 0o7777777 ? 0 : entry.uid, 108, 8);
  octal(entry.gid > 0o7777777 ? 0 : entry.gid, 116, 8);
  octal(entry.sizeBytes > 0o77777777777 ? 0 : entry.sizeBytes, 124, 12);
  octal(entry.mtimeSeconds, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(flag, 156, "latin1");
  block.write(entry.linkTarget.slice(0, 100), 157, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  octal(entry.deviceMajor, 329, 8);
  octal(entry.deviceMinor, 337, 8);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** LENGTH counts its own digits, too. */
function encodeRecord([key, value]: [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  if (String(length).length !== String(rest.length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}
