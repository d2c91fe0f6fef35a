import { once } from "node:events";
import net, { type Socket } from "node:net";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** A QMP line longer than this is not QEMU's. */
const MAX_LINE_BYTES = 1024 * 1024;

/** QEMU answers each command at once; what takes time goes on behind it. On a busy host that is a second or two. */
const ANSWER_DEADLINE_MS = 15_000;

interface QmpMessage {
  QMP?: unknown;
  return?: unknown;
  error?: { class: string; desc: string };
  event?: string;
  data?: Record<string, unknown>;
  id?: number;
}

/** Called with an event's name and what it says. A VMM that its guest has taken over may say anything. */
export type QmpListener = (event: string, data: Record<string, unknown>) => void;

/** A client of QEMU's control socket (QEMU Machine Protocol: one JSON object a line). */
export class QmpClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #closed: Promise<void>;
  #nextId = 1;
  #partial = "";
  #onGreeting: () => void = () => {};
  #shutdownReason: string | undefined;
  readonly #listeners = new Set<QmpListener>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", () => {});
    socket.once("close", () => {
      for (const waiter of this.#pending.values()) waiter.reject(lost());
      this.#pending.clear();
    });
  }

  /** Connects and negotiates capabilities. QEMU serves one QMP client at a time: a second one waits until the deadline. */
  static async connect(path: string, deadlineMs: number): Promise<QmpClient> {
    const socket = net.connect(path);
    const client = new QmpClient(socket);
    const greeting = new Promise<void>((resolve) => {
      client.#onGreeting = resolve;
    });
    const timer = setTimeout(() => socket.destroy(), deadlineMs);
    try {
      await Promise.race([
        Promise.all([once(socket, "connect"), greeting]),
        client.#closed.then(() => Promise.reject(lost())),
      ]);
      // Not waited for: what is sent next stands behind it.
      client.execute("qmp_capabilities").catch(() => socket.destroy());
      return client;
    } catch (error) {
      socket.destroy();
      throw error instanceof FirebreakError
        ? error
        : new FirebreakError("VMM_PROTOCOL_ERROR", "QEMU's control socket does not answer", { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when QEMU closes the socket: at the latest when its process ends. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** The reason of QEMU's SHUTDOWN event, such as `guest-shutdown` or `guest-reset`, once it has come. */
  get shutdownReason(): string | undefined {
    return this.#shutdownReason;
  }

  /** Calls with each event from now on; returns what ends that. */
  listen(listener: QmpListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(lost());
      // One that stands still, or was taken over, is not waited for: what waits for it holds up the VM, or a daemon's start.
      const timer = setTimeout(() => this.#socket.destroy(), ANSWER_DEADLINE_MS);
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          act(value);
        };
      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#socket.write(
        `${JSON.stringify({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) })}\n`,
      );
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    if (this.#partial.length > MAX_LINE_BYTES) return void this.#socket.destroy();
    for (const line of lines) {
      if (line.trim() !== "") this.#handle(line);
    }
  }

  #handle(line: string): void {
    let message: QmpMessage;
    try {
      message = JSON.parse(line) as QmpMessage;
    } catch {
      return void this.#socket.destroy();
    }
    if (!isMessage(message)) {
      this.#socket.destroy();
      return;
    }
    if (message.QMP !== undefined) {
      this.#onGreeting();
      return;
    }
    if (message.event === "SHUTDOWN") this.#shutdownReason = String(message.data?.reason).slice(0, 64);
    if (message.event !== undefined) {
      for (const listener of this.#listeners) listener(String(message.event), message.data ?? {});
    }
    if (message.id === undefined) return;
    const waiter = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error !== undefined) {
      waiter?.reject(new FirebreakError("VMM_PROTOCOL_ERROR", `QEMU refused a command: ${message.error.desc}`));
    } else waiter?.resolve(message.return);
  }
}

/** A VMM that its guest has taken over may send anything. */
function isMessage(value: unknown): value is QmpMessage {
  if (typeof value !== "object" || value === null) return false;
  const { error, data } = value as { error?: unknown; data?: unknown };
  const isError =
    error === undefined ||
    (typeof error === "object" && error !== null && typeof (error as { desc?: unknown }).desc === "string");
  return isError && (data === undefined || (typeof data === "object" && data !== null));
}

function lost(): FirebreakError {
  return new FirebreakError("VM_CRASHED", "QEMU closed its control socket");
}
