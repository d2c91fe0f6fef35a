import type { ClientRequest, IncomingMessage } from "node:http";
import {
  EXEC_VM_HEADER,
  encodeFrame,
  encodeFrameParts,
  encodeJsonFrame,
  FRAME,
  FrameDecoder,
} from "../contract/frames.ts";
import type { ExecRequest, Progress, RunRequest, Vm } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { ExecExit, ExecStarted } from "../guest/protocol.ts";
import { writeWhole } from "../platform/streams.ts";

export type ExecOutput =
  | { type: "stdout" | "stderr"; bytes: Buffer }
  /** Output that is not to be had any more, at this place. */
  | { type: "skipped"; bytes: number };

/** What a stream needs of the client that opened it. */
export interface ExecControl {
  signal(vm: string, id: string, signal: string): Promise<void>;
  resize(vm: string, id: string, size: { cols: number; rows: number }): Promise<void>;
}

interface ExecStreamOptions {
  client: ExecControl;
  request: ClientRequest;
  /** Unknown until the daemon says it where the VM is made for the command. */
  vm?: string;
  onProgress?: (progress: Progress) => void;
}

/** A command's streams, from the caller's end. Read `output()` to its end, then `exit` is set. */
export class ExecStream {
  readonly #options: ExecStreamOptions;
  #response: IncomingMessage | undefined;
  #vm: string | undefined;
  #isClosed = false;
  /** The name of the VM, whichever way it was asked for; undefined where the daemon makes the VM for the command. */
  vmName: string | undefined;
  /** Set once the command has started. */
  started: ExecStarted | undefined;
  /** Set once the command has ended. */
  exit: ExecExit | undefined;
  /** Called once, when the command has started. */
  onStarted: (started: ExecStarted) => void = () => {};
  /** Called once, when there is a VM that was made for the command. */
  onVm: (vm: Vm) => void = () => {};

  constructor(options: ExecStreamOptions) {
    this.#options = options;
    this.#vm = options.vm;
    options.request.on("error", () => {}); // heard by whoever reads the output
  }

  /** The VM that the command runs in, once it is known. */
  get vm(): string | undefined {
    return this.#vm;
  }

  sendSpec(spec: ExecRequest | RunRequest): void {
    this.#options.request.write(encodeJsonFrame(FRAME.spec, spec));
  }

  setResponse(response: IncomingMessage): void {
    this.#response = response;
    const vm = response.headers[EXEC_VM_HEADER];
    if (typeof vm === "string") this.vmName = vm;
  }

  /** Resolves when more may be written. */
  async writeStdin(bytes: Uint8Array): Promise<void> {
    const { request } = this.#options;
    if (request.destroyed || request.writableEnded) return;
    await writeWhole(request, ...encodeFrameParts(FRAME.stdin, bytes));
  }

  endStdin(): void {
    const { request } = this.#options;
    if (request.destroyed || request.writableEnded) return;
    request.end(encodeFrame(FRAME.stdinEof));
  }

  /** To the command's process group; nothing when it has not started or has ended. */
  async signal(signal: string): Promise<void> {
    if (this.#vm !== undefined && this.started !== undefined)
      await this.#options.client.signal(this.#vm, this.started.id, signal);
  }

  async resize(size: { cols: number; rows: number }): Promise<void> {
    if (this.#vm !== undefined && this.started !== undefined)
      await this.#options.client.resize(this.#vm, this.started.id, size);
  }

  /** Hangs up: the daemon ends the command, and the VM if it was made for it. */
  close(): void {
    this.#isClosed = true;
    this.#options.request.destroy();
  }

  /** The command's output as it comes. Throws what the daemon reports, or DAEMON_UNAVAILABLE when it goes away. */
  async *output(): AsyncGenerator<ExecOutput> {
    const decoder = new FrameDecoder();
    try {
      for await (const chunk of this.#response as AsyncIterable<Buffer>) {
        for (const frame of decoder.push(chunk)) {
          if (frame.type === FRAME.stdout) yield { type: "stdout", bytes: frame.payload };
          else if (frame.type === FRAME.stderr) yield { type: "stderr", bytes: frame.payload };
          else if (frame.type === FRAME.skipped)
            yield { type: "skipped", bytes: (parse(frame.payload) as { bytes: number }).bytes };
          else this.#control(frame.type, frame.payload);
        }
      }
    } catch (error) {
      if (error instanceof FirebreakError) throw error;
      if (this.#isClosed) throw new FirebreakError("OPERATION_CANCELED", "the command was given up", { cause: error });
      throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon broke the connection off", { cause: error });
    } finally {
      this.#options.request.destroy();
    }
  }

  #control(type: number, payload: Buffer): void {
    const value = parse(payload);
    switch (type) {
      case FRAME.started:
        this.started = value as ExecStarted;
        this.onStarted(this.started);
        return;
      case FRAME.exit:
        this.exit = value as ExecExit;
        return;
      case FRAME.vm:
        this.#vm = (value as Vm).name;
        this.onVm(value as Vm);
        return;
      case FRAME.progress:
        this.#options.onProgress?.(value as Progress);
        return;
      case FRAME.error:
        throw FirebreakError.fromBody(value as { code: string; message: string });
      default:
    }
  }
}

function parse(payload: Buffer): unknown {
  return JSON.parse(payload.toString("utf8"));
}
