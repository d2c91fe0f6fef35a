import type { Readable } from "node:stream";
import type { ArchiveResult, Directory, FileStat } from "../../guest/protocol.ts";
import { type CallOptions, type DaemonHttp, type PeekOptions, readText, signalOf } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Files of VMs, and archives of their directories. */
export class FileCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  stat(vm: string, path: string, { isPeek, ...options }: PeekOptions = {}): Promise<FileStat> {
    const query = { path, ...(isPeek ? { peek: "true" } : {}) };
    return this.#http.json("GET", `${vmPath(vm)}/stat`, options, undefined, query);
  }

  list(
    vm: string,
    path: string,
    page: { limit?: number; after?: string } = {},
    options: CallOptions = {},
  ): Promise<Directory> {
    return this.#http.json("GET", `${vmPath(vm)}/dir`, options, undefined, { path, ...page });
  }

  makeDirectory(vm: string, path: string, parents: boolean, options: CallOptions = {}): Promise<FileStat> {
    return this.#http.json("POST", `${vmPath(vm)}/dir`, options, {}, { path, parents });
  }

  async move(vm: string, from: string, to: string, overwrite: boolean, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${vmPath(vm)}/move`, options, { from, to, overwrite });
  }

  async delete(vm: string, path: string, recursive: boolean, options: CallOptions = {}): Promise<void> {
    await this.#http.json("DELETE", `${vmPath(vm)}/file`, options, undefined, { path, recursive });
  }

  async read(
    vm: string,
    path: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<{ stat: FileStat; body: Readable }> {
    const response = await this.#http.raw("GET", `${vmPath(vm)}/file`, {
      query: { path, ...range },
      ...signalOf(options),
    });
    return {
      stat: JSON.parse(decodeURIComponent(String(response.headers["firebreak-stat"]))) as FileStat,
      body: response,
    };
  }

  async write(
    vm: string,
    path: string,
    body: Readable | string,
    settings: { mode?: string; parents?: boolean } = {},
    options: CallOptions = {},
  ): Promise<FileStat> {
    const response = await this.#http.raw("PUT", `${vmPath(vm)}/file`, {
      query: { path, ...settings },
      body,
      contentType: "application/octet-stream",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as FileStat;
  }

  readArchive(vm: string, path: string, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", `${vmPath(vm)}/archive`, { query: { path }, ...signalOf(options) });
  }

  async writeArchive(vm: string, path: string, body: Readable, options: CallOptions = {}): Promise<ArchiveResult> {
    const response = await this.#http.raw("PUT", `${vmPath(vm)}/archive`, {
      query: { path },
      body,
      contentType: "application/x-tar",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as ArchiveResult;
  }
}
