/**
 * Frames of an exec stream: type (u8), length (u32, big endian), payload (docs/guest-protocol.md).
 * The same frames go from the CLI to the daemon and from the daemon to the guest.
 */
export const FRAME = {
  spec: 1,
  stdin: 2,
  stdinEof: 3,
  started: 16,
  stdout: 17,
  stderr: 18,
  skipped: 19,
  exit: 20,
  /** From the daemon only: JSON Progress, before STARTED. */
  progress: 32,
  /** From the daemon only: JSON ErrorBody; the last frame. */
  error: 33,
  /** From the daemon only: JSON VM, once the VM is there. */
  vm: 34,
} as const;

/** Header of the answer to an exec: the name of the VM that it runs in, so that a caller who knows an id need not ask for it. */
export const EXEC_VM_HEADER = "firebreak-vm";

export const MAX_FRAME_BYTES = 1024 * 1024;
const HEADER_BYTES = 5;

export interface Frame {
  type: number;
  payload: Buffer;
}

/** Up to here copying a payload costs less than one more write: whoever waits for the frame is woken by each. */
const MAX_COPIED_BYTES = 16 * 1024;

/** A frame in the pieces that it is written in: one, or a large payload by itself, which is not copied. */
export function encodeFrameParts(type: number, payload: Uint8Array): Uint8Array[] {
  const isCopied = payload.length <= MAX_COPIED_BYTES;
  const head = Buffer.allocUnsafe(HEADER_BYTES + (isCopied ? payload.length : 0));
  head.writeUInt8(type, 0);
  head.writeUInt32BE(payload.length, 1);
  if (!isCopied) return [head, payload];
  head.set(payload, HEADER_BYTES);
  return [head];
}

export function encodeFrame(type: number, payload: Uint8Array | string = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  return Buffer.concat(encodeFrameParts(type, bytes));
}

export function encodeJsonFrame(type: number, value: unknown): Buffer {
  return encodeFrame(type, JSON.stringify(value));
}

/** Thrown on bytes that are no frame; whoever decodes turns it into the error of that channel. */
export class FrameError extends RangeError {}

/**
 * Cuts a byte stream into frames, whatever its chunks. Holds at most one frame: output payloads may come in several
 * frames' worth of pieces, JSON ones never do.
 */
export class FrameDecoder {
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;

  /** Frames that are complete with this chunk. Throws FrameError on a length above MAX_FRAME_BYTES; the stream is unusable then. */
  push(chunk: Buffer): Frame[] {
    this.#buffered.push(chunk);
    this.#bufferedBytes += chunk.length;
    const frames: Frame[] = [];
    while (this.#bufferedBytes >= HEADER_BYTES) {
      const head = this.#peek(HEADER_BYTES);
      const length = head.readUInt32BE(1);
      if (length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes (at most ${MAX_FRAME_BYTES})`);
      if (this.#bufferedBytes < HEADER_BYTES + length) break;
      const whole = this.#take(HEADER_BYTES + length);
      frames.push({ type: whole.readUInt8(0), payload: whole.subarray(HEADER_BYTES) });
    }
    return frames;
  }

  /** Bytes of a frame that is not complete; at the end of a stream anything but 0 means it was cut. */
  get pendingBytes(): number {
    return this.#bufferedBytes;
  }

  #peek(bytes: number): Buffer {
    const first = this.#buffered[0] as Buffer; // callers checked that bytes are there
    if (first.length >= bytes) return first;
    const joined = Buffer.concat(this.#buffered);
    this.#buffered = [joined];
    return joined;
  }

  #take(bytes: number): Buffer {
    const joined = this.#buffered.length === 1 ? (this.#buffered[0] as Buffer) : Buffer.concat(this.#buffered);
    const rest = joined.subarray(bytes);
    this.#buffered = rest.length > 0 ? [rest] : [];
    this.#bufferedBytes = rest.length;
    return joined.subarray(0, bytes);
  }
}
