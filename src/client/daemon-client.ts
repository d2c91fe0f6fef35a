import http, { type IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import {
  API_VERSION,
  type DaemonStatus,
  type DoctorCheck,
  type ImageInfo,
  type StreamLine,
} from "../contract/daemon.ts";
import type { ExecRequest, Progress, RunRequest, Vm, VmCreate } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { ArchiveResult, Directory, ExecInfo, FileStat, GuestStats } from "../guest/protocol.ts";
import { ExecStream } from "./exec-stream.ts";

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

interface RawOptions {
  query?: Record<string, string | number | boolean | undefined>;
  body?: Readable | string;
  contentType?: string;
  signal?: AbortSignal;
}

/** The daemon's API over its UNIX socket, for the CLI, the MCP server and tests. */
export class DaemonClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  status(options: CallOptions = {}): Promise<DaemonStatus> {
    return this.#json("GET", "/v1/status", options);
  }

  async checkVersion(): Promise<DaemonStatus> {
    const status = await this.status();
    if (status.apiVersion === API_VERSION) return status;
    throw new FirebreakError(
      "DAEMON_UNAVAILABLE",
      `the running daemon speaks API ${status.apiVersion}, this program ${API_VERSION}`,
      {
        hint: "Restart it: firebreak daemon stop (VMs go on), then run this again.",
      },
    );
  }

  shutdown(): Promise<{ pid: number }> {
    return this.#json("POST", "/v1/shutdown");
  }

  async doctor(): Promise<DoctorCheck[]> {
    return (await this.#json<{ checks: DoctorCheck[] }>("GET", "/v1/doctor")).checks;
  }

  async imageList(): Promise<ImageInfo[]> {
    return (await this.#json<{ images: ImageInfo[] }>("GET", "/v1/images")).images;
  }

  imageBuild(
    name: string,
    force: boolean,
    options: CallOptions = {},
  ): Promise<{ image: ImageInfo; isUpToDate: boolean }> {
    return this.#lines("POST", `/v1/images/${encodeURIComponent(name)}/build`, { force }, options);
  }

  async vmList(options: CallOptions = {}): Promise<Vm[]> {
    return (await this.#json<{ vms: Vm[] }>("GET", "/v1/vms", options)).vms;
  }

  vmGet(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#json("GET", vmPath(vm), options);
  }

  vmCreate(request: VmCreate, options: CallOptions = {}): Promise<Vm> {
    return this.#lines("POST", "/v1/vms", request, options);
  }

  vmStart(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#lines("POST", `${vmPath(vm)}/start`, {}, options);
  }

  vmStop(vm: string, settings: { graceMs?: number; force?: boolean }, options: CallOptions = {}): Promise<Vm> {
    return this.#lines("POST", `${vmPath(vm)}/stop`, settings, options);
  }

  vmDelete(vm: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#json("DELETE", vmPath(vm), options);
  }

  vmStats(vm: string): Promise<GuestStats> {
    return this.#json("GET", `${vmPath(vm)}/stats`);
  }

  vmLogs(vm: string, follow: boolean, options: CallOptions = {}): Promise<Readable> {
    return this.#raw("GET", `${vmPath(vm)}/logs`, { query: { follow }, ...signalOf(options) });
  }

  /** Starts a command in a VM; its streams are in the answer. */
  async exec(vm: string, spec: ExecRequest, options: CallOptions = {}): Promise<ExecStream> {
    return this.#execStream(`${vmPath(vm)}/exec`, spec, options, vm);
  }

  /** Runs a command in a VM made for it. */
  async run(request: RunRequest, options: CallOptions = {}): Promise<ExecStream> {
    return this.#execStream("/v1/run", request, options, undefined);
  }

  async execAttach(
    vm: string,
    id: string,
    from: number,
    follow: boolean,
    options: CallOptions = {},
  ): Promise<ExecStream> {
    return this.#execStream(`${execPath(vm, id)}/attach?from=${from}&follow=${follow}`, undefined, options, vm);
  }

  async execList(vm: string): Promise<ExecInfo[]> {
    return (await this.#json<{ execs: ExecInfo[] }>("GET", `${vmPath(vm)}/execs`)).execs;
  }

  async execSignal(vm: string, id: string, signal: string): Promise<void> {
    await this.#json("POST", `${execPath(vm, id)}/signal`, {}, { signal });
  }

  async execResize(vm: string, id: string, size: { cols: number; rows: number }): Promise<void> {
    await this.#json("POST", `${execPath(vm, id)}/resize`, {}, size);
  }

  async execKill(vm: string, id: string, graceMs?: number): Promise<void> {
    await this.#json("POST", `${execPath(vm, id)}/kill`, {}, graceMs === undefined ? {} : { graceMs });
  }

  fileStat(vm: string, path: string, options: CallOptions = {}): Promise<FileStat> {
    return this.#json("GET", `${vmPath(vm)}/stat`, options, undefined, { path });
  }

  fileList(
    vm: string,
    path: string,
    page: { limit?: number; after?: string } = {},
    options: CallOptions = {},
  ): Promise<Directory> {
    return this.#json("GET", `${vmPath(vm)}/dir`, options, undefined, { path, ...page });
  }

  makeDirectory(vm: string, path: string, parents: boolean, options: CallOptions = {}): Promise<FileStat> {
    return this.#json("POST", `${vmPath(vm)}/dir`, options, {}, { path, parents });
  }

  async fileMove(vm: string, from: string, to: string, overwrite: boolean, options: CallOptions = {}): Promise<void> {
    await this.#json("POST", `${vmPath(vm)}/move`, options, { from, to, overwrite });
  }

  async fileDelete(vm: string, path: string, recursive: boolean, options: CallOptions = {}): Promise<void> {
    await this.#json("DELETE", `${vmPath(vm)}/file`, options, undefined, { path, recursive });
  }

  async fileRead(
    vm: string,
    path: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<{ stat: FileStat; body: Readable }> {
    const response = await this.#raw("GET", `${vmPath(vm)}/file`, { query: { path, ...range }, ...signalOf(options) });
    return {
      stat: JSON.parse(decodeURIComponent(String(response.headers["firebreak-stat"]))) as FileStat,
      body: response,
    };
  }

  async fileWrite(
    vm: string,
    path: string,
    body: Readable | string,
    settings: { mode?: string; parents?: boolean } = {},
    options: CallOptions = {},
  ): Promise<FileStat> {
    const response = await this.#raw("PUT", `${vmPath(vm)}/file`, {
      query: { path, ...settings },
      body,
      contentType: "application/octet-stream",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as FileStat;
  }

  archiveRead(vm: string, path: string, options: CallOptions = {}): Promise<Readable> {
    return this.#raw("GET", `${vmPath(vm)}/archive`, { query: { path }, ...signalOf(options) });
  }

  async archiveWrite(vm: string, path: string, body: Readable, options: CallOptions = {}): Promise<ArchiveResult> {
    const response = await this.#raw("PUT", `${vmPath(vm)}/archive`, {
      query: { path },
      body,
      contentType: "application/x-tar",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as ArchiveResult;
  }

  async #json<T>(
    method: string,
    path: string,
    options: CallOptions = {},
    body?: unknown,
    query: RawOptions["query"] = {},
  ): Promise<T> {
    const raw: RawOptions = { query, ...signalOf(options) };
    if (body !== undefined) Object.assign(raw, { body: JSON.stringify(body), contentType: "application/json" });
    const text = await readText(await this.#raw(method, path, raw));
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async #lines<T>(method: string, path: string, body: unknown, options: CallOptions): Promise<T> {
    const response = await this.#raw(method, path, {
      body: JSON.stringify(body),
      contentType: "application/json",
      ...signalOf(options),
    });
    response.setEncoding("utf8");
    let partial = "";
    for await (const text of translated(response as AsyncIterable<string>)) {
      const lines = (partial + text).split("\n");
      partial = lines.pop() ?? "";
      for (const line of lines) {
        const parsed = JSON.parse(line) as StreamLine<T>;
        if ("result" in parsed) return parsed.result;
        if ("error" in parsed) throw FirebreakError.fromBody(parsed.error);
        options.onProgress?.(parsed.progress);
      }
    }
    throw daemonGone();
  }

  async #execStream(
    path: string,
    spec: ExecRequest | RunRequest | undefined,
    options: CallOptions,
    vm: string | undefined,
  ): Promise<ExecStream> {
    const { request, response } = this.#request("POST", path, {
      contentType: "application/x-firebreak-frames",
      ...signalOf(options),
    });
    const stream = new ExecStream({
      client: this,
      request,
      ...(vm === undefined ? {} : { vm }),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
    if (spec === undefined) request.flushHeaders();
    else stream.sendSpec(spec);
    try {
      stream.setResponse(await response);
    } catch (error) {
      // Refused: the request's body has no end yet, and its connection would keep this process for as long as the daemon keeps it.
      request.destroy();
      throw error;
    }
    return stream;
  }

  async #raw(method: string, path: string, options: RawOptions = {}): Promise<IncomingMessage> {
    const { request, response } = this.#request(method, path, options);
    if (options.body === undefined || typeof options.body === "string") request.end(options.body);
    else {
      // A refusal (full disk, unknown VM) comes before the body's end: the answer counts, and the rest need not be sent.
      const body = options.body;
      let isAnswered = false;
      const stop = () => {
        isAnswered = true;
        if (!request.writableEnded) body.unpipe(request);
        body.destroy();
      };
      response.then(stop, stop);
      body.once("error", (error) => isAnswered || request.destroy(error));
      body.pipe(request);
    }
    return response;
  }

  #request(
    method: string,
    path: string,
    options: RawOptions,
  ): { request: http.ClientRequest; response: Promise<IncomingMessage> } {
    const pairs = Object.entries(options.query ?? {}).filter(([, value]) => value !== undefined);
    const search = pairs.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&");
    const request = http.request({
      socketPath: this.#socketPath,
      // A connection a request: they cost next to nothing here, and one kept alive can keep a short command from ending.
      agent: false,
      method,
      path: search === "" ? path : `${path}?${search}`,
      headers: {
        // The daemon must not close after its answer: what we still send then would take the unread answer with it.
        connection: "keep-alive",
        ...(options.contentType === undefined ? {} : { "content-type": options.contentType }),
      },
      ...signalOf(options),
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", (incoming) => {
        if ((incoming.statusCode ?? 500) < 400) return resolve(incoming);
        readText(incoming).then((text) => reject(errorOf(text, incoming.statusCode)), reject);
      });
      request.on("error", (error: NodeJS.ErrnoException) => reject(translateRequestError(error)));
    });
    response.catch(() => {}); // whoever awaits it hears it
    return { request, response };
  }
}

function vmPath(vm: string): string {
  return `/v1/vms/${encodeURIComponent(vm)}`;
}

function execPath(vm: string, id: string): string {
  return `${vmPath(vm)}/execs/${encodeURIComponent(id)}`;
}

function signalOf(options: { signal?: AbortSignal }): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

function errorOf(text: string, status: number | undefined): FirebreakError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return FirebreakError.fromBody(error);
  } catch {
    return new FirebreakError("DAEMON_UNAVAILABLE", `the daemon answered ${status} without an error body`);
  }
}

function daemonGone(): FirebreakError {
  return new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended during the request", {
    hint: "Its log: firebreak daemon status",
  });
}

function translateRequestError(error: NodeJS.ErrnoException): FirebreakError {
  if (error.name === "AbortError")
    return new FirebreakError("OPERATION_CANCELED", "the request was cancelled", { cause: error });
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
    return new FirebreakError("DAEMON_UNAVAILABLE", "no daemon is running", {
      cause: error,
      hint: "Start it: firebreak daemon start",
    });
  }
  return new FirebreakError(
    "DAEMON_UNAVAILABLE",
    `the daemon broke the connection off (${error.code ?? error.message})`,
    { cause: error },
  );
}

/** A stream whose breaking off is the daemon's end, not a defect. */
async function* translated<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    throw translateRequestError(error as NodeJS.ErrnoException);
  }
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch (error) {
    throw translateRequestError(error as NodeJS.ErrnoException);
  }
  return Buffer.concat(chunks).toString("utf8");
}
