import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Generations of the guest protocol that this host can speak (docs/guest-protocol.md). */
export const SUPPORTED_GENERATIONS = [1] as const;

/** The longest line of an attachment, newline included; longer ones are stale bytes. */
const MAX_LINE_BYTES = 128;
const GREETING = /^firebreak-agent ([1-9]\d{0,8}) ([0-9a-f]{32})$/;
const CONFIRMATION = /^attached ([0-9a-f]{32})$/;

export type AttachmentLine =
  | { line: "greeting"; generation: number; guestNonce: string }
  | { line: "attached"; hostNonce: string };

/** Finds the guest's attachment lines in a byte stream, whatever its pieces; holds at most one line. Pure. */
export class LineScanner {
  #line: number[] = [];
  #isOverlong = false;

  /** The lines that end in this piece, each with the index just behind it. */
  *push(chunk: Uint8Array): Generator<{ found: AttachmentLine; end: number }> {
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index] as number; // index is below length
      if (byte !== 0x0a) {
        if (this.#line.length >= MAX_LINE_BYTES) this.#isOverlong = true;
        else this.#line.push(byte);
        continue;
      }
      const found = this.#isOverlong ? undefined : parseLine(Buffer.from(this.#line).toString("latin1"));
      this.#line = [];
      this.#isOverlong = false;
      if (found !== undefined) yield { found, end: index + 1 };
    }
  }
}

function parseLine(line: string): AttachmentLine | undefined {
  const greeting = GREETING.exec(line);
  if (greeting !== null)
    return { line: "greeting", generation: Number(greeting[1]), guestNonce: greeting[2] as string };
  const confirmation = CONFIRMATION.exec(line);
  return confirmation === null ? undefined : { line: "attached", hostNonce: confirmation[1] as string };
}

/** What the host says on an attachment and what it makes of the guest's bytes. Pure: bytes in, bytes out. */
export class AttachmentScanner {
  readonly #hostNonce: string;
  readonly #lines = new LineScanner();
  #generation: number | undefined;
  #bytesSeen = 0;

  constructor(hostNonce: string) {
    this.#hostNonce = hostNonce;
  }

  /** Bytes dropped or consumed so far, for the error of a guest that only sends garbage. */
  get bytesSeen(): number {
    return this.#bytesSeen;
  }

  /**
   * Takes bytes of the guest. `reply` is to be written to the guest; once `attached` is there, `rest` is what follows the last line.
   */
  push(chunk: Uint8Array): { reply: string; attached?: { generation: number; rest: Uint8Array } } {
    let reply = "";
    this.#bytesSeen += chunk.length;
    for (const { found, end } of this.#lines.push(chunk)) {
      if (found.line === "greeting") {
        this.#generation = found.generation;
        reply += `\nattach ${found.guestNonce} ${this.#hostNonce}\n`;
      } else if (found.hostNonce === this.#hostNonce && this.#generation !== undefined) {
        return { reply, attached: { generation: this.#generation, rest: chunk.subarray(end) } };
      }
    }
    return { reply };
  }
}

/** How long the host waits for a guest's line on one connection before it closes and opens again. */
const SILENCE_MS = 1500;
/** A guest may miss a gap between two connections that is shorter than this. */
const GAP_MS = 150;

/**
 * Said while the guest is silent, see "Attachment" in docs/guest-protocol.md: a guest that missed the gap since the last connection
 * still waits on that one, or is in its HTTP/2.
 */
export const KNOCK_LINE = `\nattach ${"0".repeat(32)} ${"0".repeat(32)}\n`;
/** After how much silence the host knocks, ms: a guest that sees a host arrive greets well within the first. */
const KNOCKS_MS = [60, 300];

export interface AttachOptions<Stream extends Duplex = Duplex> {
  /** Opens the byte stream anew. */
  open: (signal: AbortSignal) => Promise<Stream>;
  deadlineMs: number;
  signal?: AbortSignal;
}

/**
 * Opens the stream and runs the attachment. Resolves with the socket at the first byte of HTTP/2.
 * Throws GUEST_PROTOCOL_ERROR (bytes came, but no line), GUEST_UNREACHABLE (nothing came), or what `open` throws.
 */
export async function attachToGuest<Stream extends Duplex>(
  options: AttachOptions<Stream>,
): Promise<{ socket: Stream; generation: number }> {
  const deadline = AbortSignal.timeout(options.deadlineMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  let bytesSeen = 0;
  while (true) {
    const socket = await options.open(signal).catch((error: unknown) => {
      throw deadline.aborted ? unreachable(options.deadlineMs, bytesSeen) : error;
    });
    const outcome = await scanSocket(socket, signal);
    if ("generation" in outcome) {
      if (!SUPPORTED_GENERATIONS.includes(outcome.generation as 1)) {
        socket.destroy();
        throw new FirebreakError(
          "GUEST_PROTOCOL_ERROR",
          `the guest agent speaks generation ${outcome.generation}, this host speaks ${SUPPORTED_GENERATIONS.join(", ")}`,
        );
      }
      return { socket, generation: outcome.generation };
    }
    socket.destroy();
    bytesSeen += outcome.bytesSeen;
    if (options.signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "the attachment was cancelled");
    if (deadline.aborted) throw unreachable(options.deadlineMs, bytesSeen);
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  }
}

function unreachable(deadlineMs: number, bytesSeen: number): FirebreakError {
  return bytesSeen > 0
    ? new FirebreakError(
        "GUEST_PROTOCOL_ERROR",
        `the guest sent ${bytesSeen} bytes within ${deadlineMs} ms, but no valid attachment line`,
      )
    : new FirebreakError("GUEST_UNREACHABLE", `the guest agent said nothing within ${deadlineMs} ms`);
}

type ScanOutcome = { generation: number } | { bytesSeen: number };

function scanSocket(socket: Duplex, signal: AbortSignal): Promise<ScanOutcome> {
  return new Promise((resolve) => {
    const scanner = new AttachmentScanner(randomBytes(16).toString("hex"));
    const silence = setTimeout(() => finish({ bytesSeen: scanner.bytesSeen }), SILENCE_MS);
    const knocks = KNOCKS_MS.map((afterMs) => setTimeout(() => socket.write(KNOCK_LINE), afterMs));
    const onGone = () => finish({ bytesSeen: scanner.bytesSeen });
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        const step = scanner.push(chunk);
        if (step.reply !== "") {
          socket.write(step.reply);
          knocks.forEach(clearTimeout);
        }
        if (step.attached === undefined) continue;
        const { generation, rest } = step.attached;
        finish({ generation });
        // HTTP/2 takes what is buffered in the socket before what arrives.
        if (rest.length > 0) socket.unshift(rest);
        return;
      }
    };
    const finish = (outcome: ScanOutcome) => {
      clearTimeout(silence);
      knocks.forEach(clearTimeout);
      socket.off("readable", onReadable);
      socket.off("end", onGone);
      socket.off("close", onGone);
      signal.removeEventListener("abort", onGone);
      resolve(outcome);
    };
    // Stays on: an error after the attachment belongs to HTTP/2, which listens too, but none may go unheard between the two.
    socket.on("error", () => {});
    socket.on("readable", onReadable);
    socket.on("end", onGone);
    socket.on("close", onGone);
    signal.addEventListener("abort", onGone, { once: true });
    if (signal.aborted) onGone();
  });
}
