/**
 * LZ4's legacy frame, in which Linux packs itself with CONFIG_KERNEL_LZ4: magic 0x184C2102, then blocks of at most 8 MiB (unpacked), each
 * behind its length (lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md). Debian's kernels are packed so, and Node has no LZ4.
 */
const LEGACY_MAGIC = 0x184c2102;

/** Unpacks a legacy frame into exactly `size` bytes. Throws a RangeError when the bytes are no such frame. */
export function unpackLz4Legacy(frame: Buffer, size: number): Buffer {
  if (frame.length < 4 || frame.readUInt32LE(0) !== LEGACY_MAGIC) throw new RangeError("not an LZ4 legacy frame");
  const output = Buffer.allocUnsafe(size);
  let written = 0;
  let at = 4;
  // What follows the last block (the unpacked size, which the kernel's build appends) is not a block.
  while (written < size) {
    if (at + 4 > frame.length) throw new RangeError("the LZ4 frame ends early");
    const length = frame.readUInt32LE(at);
    at += 4;
    if (length === 0 || at + length > frame.length) throw new RangeError("the LZ4 frame ends early");
    written = unpackBlock(frame.subarray(at, at + length), output, written);
    at += length;
  }
  return output;
}

/** Unpacks one block behind what is written already. Returns the new end. */
function unpackBlock(block: Buffer, output: Buffer, start: number): number {
  let at = 0;
  let end = start;
  /** Lengths of 15 go on in bytes of 255 and a last one below. */
  const readLength = (nibble: number): number => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      if (at >= block.length) throw new RangeError("an LZ4 block ends within a length");
      const more = block[at++] as number;
      length += more;
      if (more !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = readLength(token >> 4);
    if (at + literals > block.length || end + literals > output.length)
      throw new RangeError("an LZ4 block's literals are too long");
    block.copy(output, end, at, at + literals);
    at += literals;
    end += literals;
    // The last sequence has no match.
    if (at >= block.length) return end;
    if (at + 2 > block.length) throw new RangeError("an LZ4 block ends within an offset");
    const offset = block.readUInt16LE(at);
    at += 2;
    const length = readLength(token & 15) + 4;
    const from = end - offset;
    if (offset === 0 || from < start || end + length > output.length)
      throw new RangeError("an LZ4 match is out of bounds");
    // A match may overlap what it makes: then it repeats.
    if (offset >= length) output.copy(output, end, from, from + length);
    else for (let index = 0; index < length; index++) output[end + index] = output[from + index] as number;
    end += length;
  }
  return end;
}
