import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { invalidArchive } from "../archive/tar-format.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { filterThrough } from "../platform/process.ts";

type Compression = "gzip" | "zstd" | "xz" | "none";

const MAGIC: [compression: Compression, bytes: Buffer][] = [
  ["gzip", Buffer.from([0x1f, 0x8b])],
  ["zstd", Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
];
const LONGEST_MAGIC = 6;
/** What unpacking may take of the host's memory: xz at its best compression asks for 65 MiB. */
const XZ_MEMORY = "256MiB";

/** The content of a stream that may be compressed with gzip, zstd or xz, told by its first bytes. Throws ARCHIVE_INVALID when it is damaged. */
export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < LONGEST_MAGIC) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = async function* () {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  const compression = MAGIC.find(([, bytes]) => head.subarray(0, bytes.length).equals(bytes))?.[0] ?? "none";
  if (compression === "none") return yield* whole();
  if (compression === "xz") return yield* unxz(whole());
  const decoder =
    compression === "gzip" ? createGunzip({ chunkSize: 256 * 1024 }) : createZstdDecompress({ chunkSize: 256 * 1024 });
  const piped = pipeline(Readable.from(whole()), decoder);
  piped.catch(() => {});
  try {
    yield* decoder as AsyncIterable<Buffer>;
    await piped;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (/^(Z_|ZSTD_)/.test(code)) throw invalidArchive(`its ${compression} data is damaged or cut off`);
    throw error;
  } finally {
    decoder.destroy();
  }
}

async function* unxz(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* filterThrough("xz", ["--decompress", "--stdout", `--memlimit-decompress=${XZ_MEMORY}`], source);
  } catch (error) {
    if (error instanceof FirebreakError && error.code === "TOOL_FAILED")
      throw invalidArchive("its xz data is damaged or cut off");
    throw error;
  }
}
