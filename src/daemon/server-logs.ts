import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { BoundedLog, readBoundedLog } from "../platform/bounded-log.ts";

/** Kept of what one server prints; twice as much while it turns over. */
const LOG_BYTES = 512 * 1024;

/** What MCP servers print beside the protocol, each in a file of its own. */
export class ServerLogs {
  readonly #folder: string;
  readonly #open = new Map<string, BoundedLog>();
  readonly #followers = new Map<string, Set<(text: string) => void>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  write(server: string, text: string): void {
    let log = this.#open.get(server);
    if (log === undefined) {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      log = new BoundedLog(this.#fileOf(server), LOG_BYTES);
      this.#open.set(server, log);
    }
    log.append(Buffer.from(text));
    for (const follower of this.#followers.get(server) ?? []) follower(text);
  }

  read(server: string): Buffer {
    return readBoundedLog(this.#fileOf(server));
  }

  /** Calls with what a server prints from now on; returns what ends that. */
  follow(server: string, onText: (text: string) => void): () => void {
    const followers = this.#followers.get(server) ?? new Set();
    this.#followers.set(server, followers.add(onText));
    return () => followers.delete(onText);
  }

  forget(server: string): void {
    this.#open.get(server)?.close();
    this.#open.delete(server);
    for (const file of [this.#fileOf(server), `${this.#fileOf(server)}.1`]) rmSync(file, { force: true });
  }

  close(): void {
    for (const log of this.#open.values()) log.close();
    this.#open.clear();
  }

  #fileOf(server: string): string {
    return path.join(this.#folder, `${server}.log`);
  }
}
