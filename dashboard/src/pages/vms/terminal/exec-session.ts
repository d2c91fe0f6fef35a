import type { ExecRequest, Progress } from "../../../../../src/contract/vm.ts";
import type { ErrorBody } from "../../../../../src/errors/firebreak-error.ts";
import { post } from "../../../api/client.ts";
import { vmPath } from "../api.ts";
import { decodeFrame, encodeFrame, FRAME, jsonOf } from "./exec-frames.ts";

/** The daemon takes no larger frame. */
const MAX_INPUT = 64 * 1024;

export interface ExecSessionEvents {
  onOutput: (bytes: Uint8Array) => void;
  onStarted: () => void;
  onProgress: (message: string) => void;
  /** Called once. What the shell ended with, or why there is none any more. */
  onEnd: (how: string) => void;
}

/** A command with a terminal in a VM, over the daemon's WebSocket. It ends with the connection. */
export class ExecSession {
  readonly #vm: string;
  readonly #socket: WebSocket;
  readonly #events: ExecSessionEvents;
  #id: string | undefined;
  #size: { cols: number; rows: number };
  #isOver = false;

  constructor(vm: string, spec: ExecRequest & { tty: { cols: number; rows: number } }, events: ExecSessionEvents) {
    this.#vm = vm;
    this.#events = events;
    this.#size = spec.tty;
    const url = new URL(vmPath(vm, "/exec"), location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#socket.send(encodeFrame(FRAME.spec, JSON.stringify({ ...spec, stdin: true })));
    this.#socket.onmessage = ({ data }) => this.#onMessage(data);
    this.#socket.onclose = () => this.#end("The connection is gone");
  }

  write(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN || this.#id === undefined) return;
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += MAX_INPUT)
      this.#socket.send(encodeFrame(FRAME.stdin, bytes.subarray(at, at + MAX_INPUT)));
  }

  resize(size: { cols: number; rows: number }): void {
    if (size.cols === this.#size.cols && size.rows === this.#size.rows) return;
    this.#size = size;
    this.#tellSize();
  }

  /** Hangs up, which ends the command. */
  close(): void {
    this.#isOver = true;
    this.#socket.close();
  }

  #tellSize(): void {
    if (this.#id === undefined || this.#isOver) return;
    // A command that has just ended has no size; the next look tells.
    void post(vmPath(this.#vm, `/execs/${this.#id}/resize`), this.#size).catch(() => {});
  }

  #onMessage(data: unknown): void {
    const frame = data instanceof ArrayBuffer ? decodeFrame(data) : undefined;
    if (frame === undefined || this.#isOver) return;
    if (frame.type === FRAME.stdout) this.#events.onOutput(frame.payload);
    else if (frame.type === FRAME.progress) this.#events.onProgress(jsonOf<Progress>(frame).message);
    else if (frame.type === FRAME.error) this.#end(describeError(jsonOf<ErrorBody>(frame)));
    else if (frame.type === FRAME.exit) this.#end(describeExit(jsonOf(frame)));
    else if (frame.type === FRAME.started) {
      const asked = this.#size;
      this.#id = jsonOf<{ id: string }>(frame).id;
      this.#events.onStarted();
      if (asked !== this.#size) this.#tellSize();
    }
  }

  #end(how: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onEnd(how);
  }
}

function describeError({ message, code }: ErrorBody): string {
  return `${message} (${code})`;
}

function describeExit({ exitCode, signal }: { exitCode: number | null; signal: string | null }): string {
  return signal ? `The shell was ended by ${signal}` : `The shell has ended with ${exitCode ?? "no code"}`;
}
