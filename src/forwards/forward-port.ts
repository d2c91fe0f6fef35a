import type { ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Forward, ForwardState } from "../contract/forward.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { relay } from "../platform/relay.ts";
import type { ForwardRecord } from "./forward-store.ts";
import { type HeldPort, holdPort } from "./listen.ts";

/** Connections of one forward at once: below what a guest takes, so that one forward does not shut out another. */
export const MAX_CONNECTIONS_PER_FORWARD = 128;
/** How long a connection may wait for its VM: one that was suspended has to be brought back, on a busy host. */
const CONNECT_DEADLINE_MS = 120_000;
const STALL_MS = 10 * 60_000;
/** Told at most so often that bytes flow, ms: often enough for the shortest idle timeout. */
const USE_INTERVAL_MS = 250;
/** The channel is let go of while a VM is saved, which is no reason to turn a connection away. */
const CHANNEL_ATTEMPTS = 3;

export interface ForwardPortOptions {
  record: ForwardRecord;
  /** Connects to the VM's port; a suspended VM is brought back for it. */
  connect: (signal: AbortSignal) => Promise<ClientHttp2Stream>;
  /** Called while bytes flow. */
  onUse: () => void;
}

/** One forward's end on this host: its listening socket, its connections, and what is told of them. */
export class ForwardPort {
  readonly record: ForwardRecord;
  readonly #options: ForwardPortOptions;
  #held: HeldPort | undefined;
  #failure: FirebreakError | undefined;
  #notice: Forward["notice"];
  #open = 0;
  /** Aborts when all connections are to be cut. */
  #cut = new AbortController();
  #total = 0;
  #refused = 0;
  readonly #bytes = { toGuest: 0, fromGuest: 0 };
  #lastUseMs = 0;

  constructor(options: ForwardPortOptions) {
    this.record = options.record;
    this.#options = options;
  }

  get state(): ForwardState {
    if (this.#held !== undefined) return "listening";
    return this.#failure === undefined ? "inactive" : "failed";
  }

  /** Takes over a port that is held already. */
  adopt(held: HeldPort): void {
    this.#held = held;
    this.#failure = undefined;
    held.onConnection = (socket) => void this.#serve(socket);
  }

  /** Does not throw: why it failed is told in `describe`. */
  async listen(): Promise<void> {
    try {
      this.adopt(await holdPort(this.record.hostAddress, this.record.hostPort));
    } catch (error) {
      this.#failure = toFirebreakError(error);
    }
  }

  /** Lets go of the port, and cuts all connections. */
  async close(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    this.#failure = undefined;
    const closed = held?.close();
    this.#cut.abort();
    this.#cut = new AbortController();
    await closed;
  }

  describe(): Pick<Forward, "state" | "reason" | "notice" | "connections" | "bytes"> {
    return {
      state: this.state,
      ...(this.#failure === undefined ? {} : { reason: this.#failure.message }),
      ...(this.#notice === undefined ? {} : { notice: this.#notice }),
      connections: { open: this.#open, total: this.#total, refused: this.#refused },
      bytes: { ...this.#bytes },
    };
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on("error", () => {}); // its close says as much
    this.#total++;
    if (this.#open >= MAX_CONNECTIONS_PER_FORWARD)
      return this.#refuse(
        socket,
        new FirebreakError("CONNECTION_LIMIT", `${MAX_CONNECTIONS_PER_FORWARD} connections are open already`),
      );
    this.#open++;
    const noticed = this.#notice;
    const cut = this.#cut.signal;
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    cut.addEventListener("abort", () => void socket.resetAndDestroy(), { once: true, signal: gone.signal });
    // A client on another machine may vanish without a word.
    socket.setKeepAlive(true, 60_000);
    try {
      const stream = await this.#connect(AbortSignal.any([gone.signal, AbortSignal.timeout(CONNECT_DEADLINE_MS)]));
      if (socket.destroyed) return void stream.destroy();
      // What has been refused since this one came is news still.
      if (this.#notice === noticed) this.#notice = undefined;
      await relay(socket, stream, {
        onBytes: (direction, bytes) => this.#count(direction, bytes),
        stallMs: STALL_MS,
        signal: cut,
      });
    } catch (error) {
      if (!gone.signal.aborted) this.#refuse(socket, toFirebreakError(error));
    } finally {
      this.#open--;
    }
  }

  async #connect(signal: AbortSignal): Promise<ClientHttp2Stream> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#options.connect(signal);
      } catch (error) {
        const isPassing = toFirebreakError(error).code === "CHANNEL_LOST";
        if (!isPassing || attempt >= CHANNEL_ATTEMPTS || signal.aborted) throw error;
      }
    }
  }

  #refuse(socket: Socket, { code, message }: FirebreakError): void {
    this.#refused++;
    this.#notice = { at: new Date().toISOString(), code, message };
    socket.resetAndDestroy();
  }

  #count(direction: "toGuest" | "fromGuest", bytes: number): void {
    this.#bytes[direction] += bytes;
    const nowMs = performance.now();
    if (nowMs - this.#lastUseMs < USE_INTERVAL_MS) return;
    this.#lastUseMs = nowMs;
    this.#options.onUse();
  }
}
