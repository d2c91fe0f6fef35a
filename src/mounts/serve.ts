import { type ClientHttp2Stream, constants } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import type { FileSession, FileThread } from "./thread.ts";
import { FrameSplitter } from "./wire.ts";

/** Requests of one mount that the thread has at once; the rest waits in the stream's window. */
const MAX_UNDER_WAY = 64;
/** Between attachments that fail, ms: doubled each time. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** One that lasted this long was no failure. */
const SETTLED_MS = 1_000;
const ATTACH_DEADLINE_MS = 15_000;

export interface MountRequest {
  /** Letters, digits, `-` and `_`, at most 64: the guest goes on with the mount of that id, if it has one. */
  id: string;
  /** A directory or regular file of this host: absolute, without a symlink in it. */
  hostPath: string;
  guestPath: string;
  access: "ro" | "rw";
  /** Ends it. What the guest asks from then on waits for another host, or for its patience's end. */
  signal: AbortSignal;
  thread: FileThread;
  /** It is served, for the first time or again. */
  onAttached?: () => void;
  /** It does not work, and is tried again; at most once in a row. */
  onFailure?: (error: FirebreakError) => void;
}

export interface ServedMount {
  /** Resolves at the first attachment; rejects with what the first try failed with, or once the mount is over. */
  attached: Promise<void>;
  /** Resolves when nothing is served any more: the signal, or somebody in the guest has unmounted it. Never rejects. */
  ended: Promise<void>;
}

/**
 * Serves a host path to a guest, at a path there, until the signal: attached again after each loss. Requests of the guest's that a loss cut off come
 * again and are then taken for tries that may have been successful.
 */
export function serveMount(client: GuestClient, request: MountRequest): ServedMount {
  const attached = Promise.withResolvers<void>();
  attached.promise.catch(() => {}); // who wants to know waits for it
  return { attached: attached.promise, ended: keepServing(client, request, attached) };
}

async function keepServing(
  client: GuestClient,
  request: MountRequest,
  attached: PromiseWithResolvers<void>,
): Promise<void> {
  const { signal } = request;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    const startedAt = performance.now();
    try {
      const isOver = await serveOnce(client, request, () => {
        attached.resolve();
        request.onAttached?.();
      });
      if (isOver) break;
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      attached.reject(error);
      if (signal.aborted) break;
      if (pauseMs === FIRST_PAUSE_MS) request.onFailure?.(error);
    }
    if (performance.now() - startedAt > SETTLED_MS) pauseMs = FIRST_PAUSE_MS;
    await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
  }
  attached.reject(new FirebreakError("MOUNT_FAILED", `the mount at ${request.guestPath} is over`));
}

/** One attachment, to its end. True: the guest has ended the mount in order. Throws what kept it from beginning, or broke it. */
async function serveOnce(client: GuestClient, request: MountRequest, onAttached: () => void): Promise<boolean> {
  const { id, guestPath, access, hostPath, signal, thread } = request;
  const relay = new Relay();
  const session = await thread.open({ hostPath, access }, relay);
  try {
    const kind = session.isFile ? ("file" as const) : ("directory" as const);
    const wanted = { id, path: guestPath, readOnly: access === "ro", kind };
    const stream = await client.mount(wanted, { signal, deadlineMs: ATTACH_DEADLINE_MS });
    const over = relay.start(stream, session, signal);
    onAttached();
    return await over;
  } finally {
    session.close();
  }
}

/** Between the stream and the thread: as much at once as both take. */
class Relay {
  readonly #splitter = new FrameSplitter();
  readonly #ended = Promise.withResolvers<boolean>();
  #stream: ClientHttp2Stream | undefined;
  #session: FileSession | undefined;
  #underWay = 0;

  start(stream: ClientHttp2Stream, session: FileSession, signal: AbortSignal): Promise<boolean> {
    this.#stream = stream;
    this.#session = session;
    const onAbort = () => stream.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    stream.on("data", (bytes: Buffer) => {
      this.#splitter.push(bytes);
      this.#pump();
    });
    stream.on("drain", () => this.#pump());
    // The agent ends its side in order only when the mount itself has ended; Node says "end" of some resets, too.
    let isOver = false;
    stream.once("end", () => {
      isOver = true;
      stream.end();
    });
    const onClose = () => this.#ended.resolve(isOver && stream.rstCode === constants.NGHTTP2_NO_ERROR);
    stream.once("close", onClose);
    // It may have been reset before anybody listened.
    if (stream.destroyed) onClose();
    return this.#ended.promise.finally(() => {
      signal.removeEventListener("abort", onAbort);
      stream.destroy();
    });
  }

  readonly onAnswer = (bytes: Uint8Array): void => {
    this.#underWay--;
    if (this.#stream?.destroyed === false) this.#stream.write(bytes);
    this.#pump();
  };

  readonly onBroken = (reason: string): void => {
    this.#ended.reject(new FirebreakError("GUEST_PROTOCOL_ERROR", `a mount was given up: ${reason}`));
  };

  #pump(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed) return;
    try {
      // A guest that does not take its answers is asked for no more requests.
      while (this.#underWay < MAX_UNDER_WAY && !stream.writableNeedDrain) {
        const frame = this.#splitter.next();
        if (frame === undefined) break;
        this.#underWay++;
        this.#session?.send(frame);
      }
    } catch (error) {
      this.onBroken((error as Error).message);
      return;
    }
    const isBusy = this.#underWay >= MAX_UNDER_WAY || stream.writableNeedDrain;
    if (isBusy) stream.pause();
    else stream.resume();
  }
}
