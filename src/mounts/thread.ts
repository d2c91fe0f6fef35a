import { Worker } from "node:worker_threads";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FileServerOptions } from "./file-server.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

/** What a session hears of. */
export interface SessionEvents {
  onAnswer: (bytes: Uint8Array) => void;
  /** The session is over: the guest has sent what is no request, or the thread has ended. */
  onBroken: (reason: string) => void;
}

/** One mount's files, open on the thread. */
export interface FileSession {
  readonly isFile: boolean;
  /** A frame without its length; an answer comes for each, in order. */
  send(frame: Buffer): void;
  close(): void;
}

/**
 * The thread on which host files are read and written for guests: their calls wait for the disk, one after another, and not the daemon. It is started
 * with the first mount, and again after it has died. One owner closes it.
 */
export class FileThread {
  #worker: Worker | undefined;
  #last = 0;
  readonly #sessions = new Map<number, (message: FromThread | undefined) => void>();

  /** Throws MOUNT_FAILED when the path cannot be opened. */
  open(options: FileServerOptions, { onAnswer, onBroken }: SessionEvents): Promise<FileSession> {
    const worker = this.#start();
    const mount = ++this.#last;
    const post = (message: ToThread, moved: ArrayBuffer[] = []) => worker.postMessage(message, moved);
    const close = () => {
      if (this.#sessions.delete(mount)) post({ kind: "close", mount });
    };
    const send = (frame: Buffer) => {
      const bytes = new Uint8Array(frame);
      post({ kind: "frame", mount, bytes }, [bytes.buffer]);
    };
    return new Promise((resolve, reject) => {
      this.#sessions.set(mount, (message) => {
        switch (message?.kind) {
          case "opened":
            return resolve({ isFile: message.isFile, send, close });
          case "failed":
            this.#sessions.delete(mount);
            return reject(
              new FirebreakError("MOUNT_FAILED", `${options.hostPath} cannot be opened (errno ${message.errno})`),
            );
          case "answer":
            return onAnswer(message.bytes);
          case "malformed":
            close();
            return onBroken(message.reason);
          case undefined:
            reject(new FirebreakError("MOUNT_FAILED", "the thread that serves files has ended"));
            return onBroken("the thread that serves files has ended");
        }
      });
      post({ kind: "open", mount, options });
    });
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    // The published package holds JavaScript.
    const file = import.meta.url.endsWith(".ts") ? "./file-thread.ts" : "./file-thread.js";
    const worker = new Worker(new URL(file, import.meta.url), { execArgv: [] });
    this.#worker = worker;
    worker.unref();
    worker.on("message", (message: FromThread) => this.#sessions.get(message.mount)?.(message));
    worker.on("error", () => {}); // its end follows
    worker.once("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
      const all = [...this.#sessions.values()];
      this.#sessions.clear();
      for (const tell of all) tell(undefined);
    });
    return worker;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }
}
