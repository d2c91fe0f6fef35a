import { countLeadingPart, countTrailingPart, decodeText, type EncodedBytes, encodeBytes, toBase64 } from "./bytes.ts";

/** Where output goes that an answer has no room for. */
export interface OutputSink {
  path: string;
  /** Resolves when more may come; false when the sink has failed and takes no more. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Ends the file. Returns how many bytes it holds; undefined when it could not be kept. */
  end(): Promise<number | undefined>;
}

/** Output that is not in the answer. */
export interface OutputCut {
  /** Bytes that are left out, from `offset` of the stream on. */
  bytes: number;
  offset: number;
  /** The file in the VM that holds the stream from its start; absent when it could not be written. */
  path?: string;
  /** How much of the stream, from its start, the file holds. */
  savedBytes?: number;
}

export interface CapturedOutput extends EncodedBytes {
  totalBytes: number;
  cut?: OutputCut;
}

export interface OutputCaptureOptions {
  /** What an answer carries of a stream. */
  capBytes: number;
  /** What is saved of a stream at most. */
  maxSavedBytes: number;
  /** Called once, when the cap is exceeded. */
  openSink: () => OutputSink;
}

/**
 * One stream of a command. Holds 1.5 times the cap at most, whatever comes: the start, the end, and the rest goes to the sink,
 * whose back-pressure reaches the command.
 */
export class OutputCapture {
  readonly #options: OutputCaptureOptions;
  readonly #head: Buffer;
  readonly #tail: Buffer;
  #totalBytes = 0;
  #sink: OutputSink | undefined;
  #sinkTakesMore = true;
  #sinkBytes = 0;

  constructor(options: OutputCaptureOptions) {
    this.#options = options;
    this.#head = Buffer.allocUnsafe(options.capBytes);
    this.#tail = Buffer.allocUnsafe(Math.floor(options.capBytes / 2));
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  async push(bytes: Buffer): Promise<void> {
    const before = this.#totalBytes;
    this.#totalBytes += bytes.length;
    if (before < this.#head.length) bytes.copy(this.#head, before);
    this.#pushTail(bytes, before);
    if (this.#totalBytes <= this.#options.capBytes) return;
    if (this.#sink === undefined) {
      this.#sink = this.#options.openSink();
      await this.#save(this.#head.subarray(0, before));
    }
    await this.#save(bytes);
  }

  /** The last bytes, in a ring: the byte at position p of the stream is at p modulo the ring's size. */
  #pushTail(bytes: Buffer, before: number): void {
    const size = this.#tail.length;
    const from = Math.max(0, bytes.length - size);
    const at = (before + from) % size;
    const copied = bytes.copy(this.#tail, at, from);
    if (from + copied < bytes.length) bytes.copy(this.#tail, 0, from + copied);
  }

  async #save(bytes: Uint8Array): Promise<void> {
    const rest = this.#options.maxSavedBytes - this.#sinkBytes;
    if (!this.#sinkTakesMore || this.#sink === undefined || rest <= 0 || bytes.length === 0) return;
    const part = bytes.subarray(0, rest);
    this.#sinkBytes += part.length;
    // A copy: the head is one buffer and frames share theirs, while the sink may hold on to what it gets.
    this.#sinkTakesMore = await this.#sink.write(Buffer.from(part));
  }

  /** What the answer says of the stream, once it has ended. */
  async finish(): Promise<CapturedOutput> {
    const totalBytes = this.#totalBytes;
    if (this.#sink === undefined) return { ...encodeBytes(this.#head.subarray(0, totalBytes)), totalBytes };
    const savedBytes = await this.#sink.end();
    const saved = savedBytes === undefined ? {} : { path: this.#sink.path, savedBytes };
    const size = this.#tail.length;
    const head = this.#head.subarray(0, size);
    const pivot = totalBytes % size;
    const tail = Buffer.concat([this.#tail.subarray(pivot), this.#tail.subarray(0, pivot)]);
    const shownHead = head.subarray(0, head.length - countTrailingPart(head));
    const shownTail = tail.subarray(countLeadingPart(tail));
    const headText = decodeText(shownHead);
    const tailText = decodeText(shownTail);
    if (headText === undefined || tailText === undefined) {
      // Two pieces of base64 make no sense as one: only the start is shown.
      const cut = { offset: head.length, bytes: totalBytes - head.length, ...saved };
      return { content: toBase64(head), encoding: "base64", totalBytes, cut };
    }
    const cut = { offset: shownHead.length, bytes: totalBytes - shownHead.length - shownTail.length, ...saved };
    return { content: `${headText}\n${describeCut(cut)}\n${tailText}`, encoding: "text", totalBytes, cut };
  }
}

/** Says what is missing and exactly how to read it. */
export function describeCut(cut: OutputCut): string {
  const start = `[... ${cut.bytes} bytes cut here; `;
  if (cut.path === undefined) return `${start}they could not be saved in the VM and are lost ...]`;
  const whole = cut.savedBytes !== undefined && cut.savedBytes >= cut.offset + cut.bytes;
  const extent = whole ? "all of it is" : `the first ${cut.savedBytes} bytes of it are`;
  return `${start}${extent} in the VM in ${cut.path}: file_read with offset ${cut.offset} goes on here ...]`;
}
