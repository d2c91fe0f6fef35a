/** One entry of an initial ram disk. */
export type CpioEntry =
  | { type: "directory"; path: string; mode: number }
  | { type: "file"; path: string; mode: number; content: Uint8Array }
  | { type: "character-device"; path: string; mode: number; major: number; minor: number };

const TYPE_BITS = { directory: 0o040000, file: 0o100000, "character-device": 0o020000 } as const;

/**
 * A cpio archive in "newc" form, which the Linux kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Owner is root, times are 0 and inode numbers count up, so
 * that the same entries give the same bytes. Folders must come before what is in them.
 */
export function writeCpio(entries: CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  for (const entry of entries) parts.push(...encodeEntry(entry, inode++));
  parts.push(...encodeRecord({ name: "TRAILER!!!", inode: 0, mode: 0, links: 1, major: 0, minor: 0 }));
  const archive = Buffer.concat(parts);
  // cpio(1) pads to its block size of 512; the kernel does not mind, and the golden bytes then match the tool's.
  return Buffer.concat([archive, Buffer.alloc(padding(archive.length, 512))]);
}

function encodeEntry(entry: CpioEntry, inode: number): Buffer[] {
  const name = entry.path.replace(/^\/+/, "");
  if (name === "" || name.split("/").includes("..")) throw new RangeError(`not a path for an archive: ${entry.path}`);
  const isDevice = entry.type === "character-device";
  return encodeRecord({
    name,
    inode,
    mode: TYPE_BITS[entry.type] | (entry.mode & 0o7777),
    links: entry.type === "directory" ? 2 : 1,
    major: isDevice ? entry.major : 0,
    minor: isDevice ? entry.minor : 0,
    ...(entry.type === "file" ? { content: entry.content } : {}),
  });
}

interface CpioRecord {
  name: string;
  inode: number;
  mode: number;
  links: number;
  major: number;
  minor: number;
  content?: Uint8Array;
}

function encodeRecord(record: CpioRecord): Buffer[] {
  const name = Buffer.from(`${record.name}\0`);
  const content = Buffer.from(record.content ?? []);
  const fields = [
    record.inode,
    record.mode,
    0, // uid
    0, // gid
    record.links,
    0, // mtime
    content.length,
    0, // major and minor of the device that holds the file
    0,
    record.major,
    record.minor,
    name.length,
    0, // checksum: only in the "crc" form
  ];
  const header = Buffer.from(
    `070701${fields.map((field) => field.toString(16).padStart(8, "0").toUpperCase()).join("")}`,
  );
  return [
    header,
    name,
    Buffer.alloc(padding(header.length + name.length, 4)),
    content,
    Buffer.alloc(padding(content.length, 4)),
  ];
}

function padding(length: number, unit: number): number {
  return (unit - (length % unit)) % unit;
}
