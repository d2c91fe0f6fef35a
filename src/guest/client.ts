import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestConnection } from "./connection.ts";
import { translateGuestError } from "./guest-errors.ts";
import {
  type ArchiveResult,
  archiveResultSchema,
  type ConnectTarget,
  type Directory,
  directorySchema,
  type ExecInfo,
  execInfoSchema,
  execListSchema,
  type FileStat,
  fileStatSchema,
  type GuestDrive,
  type GuestHello,
  type GuestMount,
  type GuestNetwork,
  type GuestStats,
  guestDriveSchema,
  guestErrorSchema,
  guestHelloSchema,
  guestMountsSchema,
  guestStatsSchema,
  type MountTarget,
  type PersonaliseValues,
} from "./protocol.ts";

/** An answer in JSON larger than this is refused: the largest honest one is a directory of 10,000 entries. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;
const DEFAULT_DEADLINE_MS = 30_000;
/** Longer than the agent waits for what listens in the guest. */
const CONNECT_DEADLINE_MS = 15_000;

export interface RequestOptions {
  signal?: AbortSignal;
  /** How long the answer (its headers, for a stream) may take, ms. */
  deadlineMs?: number;
}

interface GuestResponse {
  stream: ClientHttp2Stream;
  headers: IncomingHttpHeaders;
}

/** Typed requests to the guest agent. All bytes of the guest are parsed strictly and bounded here. */
export class GuestClient {
  readonly #connection: GuestConnection;

  constructor(connection: GuestConnection) {
    this.#connection = connection;
  }

  hello(options?: RequestOptions): Promise<GuestHello> {
    return this.#json("GET", "/v1/hello", undefined, guestHelloSchema, options);
  }

  stats(options?: RequestOptions): Promise<GuestStats> {
    return this.#json("GET", "/v1/stats", undefined, guestStatsSchema, options);
  }

  async personalise(values: PersonaliseValues, options?: RequestOptions): Promise<void> {
    await this.#json("PUT", "/v1/personalise", values, undefined, options);
  }

  /** Changes what a guest has for a network, as it runs (feature `egress`). */
  async setNetwork(values: GuestNetwork, options?: RequestOptions): Promise<void> {
    await this.#json("PUT", "/v1/network", values, undefined, options);
  }

  async sync(options?: RequestOptions): Promise<void> {
    await this.#json("POST", "/v1/sync", {}, undefined, options);
  }

  /** Finds a drive that the host has attached and, with a path, mounts it there. */
  driveAttach(
    serial: string,
    place: { path?: string; readOnly?: boolean },
    options?: RequestOptions,
  ): Promise<GuestDrive> {
    return this.#json("POST", drivePath(serial, "attach"), place, guestDriveSchema, options);
  }

  /** Has the guest let go of a drive, so that the host can take it away. With force, what uses it is cut off. */
  async driveDetach(serial: string, force: boolean, options?: RequestOptions): Promise<void> {
    await this.#json("POST", drivePath(serial, "detach"), { force }, undefined, options);
  }

  /** Has the guest see a drive's new size, and grow its file system. */
  async driveGrow(serial: string, bytes: number, options?: RequestOptions): Promise<void> {
    await this.#json("POST", drivePath(serial, "grow"), { bytes }, undefined, options);
  }

  async shutdown(graceMs: number, options?: RequestOptions): Promise<void> {
    await this.#json("POST", "/v1/shutdown", { graceMs }, undefined, options);
  }

  async execList(options?: RequestOptions): Promise<ExecInfo[]> {
    return (await this.#json("GET", "/v1/execs", undefined, execListSchema, options)).execs;
  }

  execGet(id: string, options?: RequestOptions): Promise<ExecInfo> {
    return this.#json("GET", execPath(id), undefined, execInfoSchema, options);
  }

  async execSignal(id: string, signal: string, options?: RequestOptions): Promise<void> {
    await this.#json("POST", execPath(id, "/signal"), { signal }, undefined, options);
  }

  async execKill(id: string, graceMs: number, options?: RequestOptions): Promise<void> {
    await this.#json("POST", execPath(id, "/kill"), { graceMs }, undefined, options);
  }

  async execResize(id: string, size: { cols: number; rows: number }, options?: RequestOptions): Promise<void> {
    await this.#json("POST", execPath(id, "/resize"), size, undefined, options);
  }

  async execDelete(id: string, options?: RequestOptions): Promise<void> {
    await this.#json("DELETE", execPath(id), undefined, undefined, options);
  }

  /** Starts a command: the caller writes frames (SPEC first) to the stream and reads frames from it. */
  openExec(): Promise<ClientHttp2Stream> {
    return this.#open("POST", "/v1/exec", {});
  }

  openAttach(id: string, from: number, follow: boolean): Promise<ClientHttp2Stream> {
    return this.#open("POST", execPath(id, `/attach?from=${from}&follow=${follow}`), {});
  }

  /** Waits for the answer's head of a stream opened above; throws the guest's error when it is one. */
  awaitHead(stream: ClientHttp2Stream, requestPath: string, options: RequestOptions = {}): Promise<GuestResponse> {
    return this.#head(stream, requestPath, options);
  }

  /**
   * Connects to what listens in the guest. Both directions of the stream end by themselves: `end()` is the end of what the guest reads,
   * the stream's end that of what it writes. `destroy()` is a reset, where `close()` would be taken for the end first. Throws CONNECTION_REFUSED when nothing listens, GUEST_FEATURE_MISSING of an old agent.
   */
  async connect(target: ConnectTarget, options: RequestOptions = {}): Promise<ClientHttp2Stream> {
    const path = `/v1/connect?${query({ ...target })}`;
    const opened = await this.#open("POST", path, {});
    // The agent answers once it is connected; its own deadline comes before this one.
    const { stream } = await this.#head(opened, path, { deadlineMs: CONNECT_DEADLINE_MS, ...options });
    return stream;
  }

  /**
   * Makes a mount, or goes on with the one of that id: the stream's two directions are its requests and their answers. `destroy()` leaves the mount
   * without a host; its end is the mount's. Throws MOUNT_FAILED, GUEST_FEATURE_MISSING of an old agent.
   */
  async mount(wanted: MountTarget, options: RequestOptions = {}): Promise<ClientHttp2Stream> {
    const path = `/v1/mounts?${query({ ...wanted })}`;
    const { stream } = await this.#head(await this.#open("POST", path, {}), path, options);
    return stream;
  }

  async mountList(options?: RequestOptions): Promise<GuestMount[]> {
    return (await this.#json("GET", "/v1/mounts", undefined, guestMountsSchema, options)).mounts;
  }

  /** Takes a mount away. Throws MOUNT_BUSY while something uses it, which force cuts off. */
  async mountDelete(id: string, force: boolean, options?: RequestOptions): Promise<void> {
    await this.#json("DELETE", `/v1/mounts/${encodeURIComponent(id)}?force=${force}`, undefined, undefined, options);
  }

  /** Has all that is asked of a mount fail with EIO, without waiting, until a host attaches to it. */
  async mountRefuse(id: string, options?: RequestOptions): Promise<void> {
    await this.#json("POST", `/v1/mounts/${encodeURIComponent(id)}/refuse`, {}, undefined, options);
  }

  stat(path: string, follow: boolean, options?: RequestOptions): Promise<FileStat> {
    return this.#json("GET", `/v1/stat?${query({ path, follow })}`, undefined, fileStatSchema, options);
  }

  list(path: string, page: { limit: number; after?: string }, options?: RequestOptions): Promise<Directory> {
    return this.#json("GET", `/v1/dir?${query({ path, ...page })}`, undefined, directorySchema, options);
  }

  makeDirectory(
    path: string,
    settings: { parents: boolean; mode?: string },
    options?: RequestOptions,
  ): Promise<FileStat> {
    return this.#json("POST", `/v1/dir?${query({ path, ...settings })}`, {}, fileStatSchema, options);
  }

  async move(from: string, to: string, overwrite: boolean, options?: RequestOptions): Promise<void> {
    await this.#json("POST", "/v1/move", { from, to, overwrite }, undefined, options);
  }

  async deleteFile(path: string, recursive: boolean, options?: RequestOptions): Promise<void> {
    await this.#json("DELETE", `/v1/file?${query({ path, recursive })}`, undefined, undefined, options);
  }

  async readFile(
    path: string,
    range: { offset?: number; length?: number },
    options: RequestOptions = {},
  ): Promise<{ stat: FileStat; body: Readable; sizeBytes?: number }> {
    const target = `/v1/file?${query({ path, ...range })}`;
    const response = await this.#stream("GET", target, options);
    const stat = parseGuest(fileStatSchema, parseJson(String(response.headers["firebreak-stat"] ?? "")));
    const length = Number(response.headers["content-length"]);
    return { stat, body: response.stream, ...(Number.isSafeInteger(length) ? { sizeBytes: length } : {}) };
  }

  async writeFile(
    path: string,
    body: Readable,
    settings: { mode?: string; parents?: boolean },
    options: RequestOptions = {},
  ): Promise<FileStat> {
    return this.#upload(`/v1/file?${query({ path, ...settings })}`, body, fileStatSchema, options);
  }

  async readArchive(path: string, options: RequestOptions = {}): Promise<Readable> {
    return (await this.#stream("GET", `/v1/archive?${query({ path })}`, options)).stream;
  }

  /** All of a file system, so that one like it can be made: owners, links, devices, capabilities. An old agent leaves some of it out. */
  async readWhole(path: string, options: RequestOptions = {}): Promise<Readable> {
    return (await this.#stream("GET", `/v1/archive?${query({ path, whole: true })}`, options)).stream;
  }

  writeArchive(path: string, body: Readable, options: RequestOptions = {}): Promise<ArchiveResult> {
    return this.#upload(`/v1/archive?${query({ path })}`, body, archiveResultSchema, options);
  }

  async #open(method: string, path: string, headers: Record<string, string>): Promise<ClientHttp2Stream> {
    const session = await this.#connection.session();
    try {
      const stream = session.request(
        { ":method": method, ":path": path, ...headers },
        { endStream: method === "GET" || method === "DELETE" },
      );
      stream.on("error", () => {}); // heard where the stream is read; a late one must not end the daemon
      return stream;
    } catch (error) {
      throw channelLost(error);
    }
  }

  #head(stream: ClientHttp2Stream, requestPath: string, options: RequestOptions): Promise<GuestResponse> {
    const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        fail(
          new FirebreakError("GUEST_UNREACHABLE", `the guest did not answer within ${deadlineMs} ms`, {
            hint: "It may be busy or hang; 'firebreak vm logs' shows its console.",
          }),
        );
      }, deadlineMs);
      const onAbort = () => fail(new FirebreakError("OPERATION_CANCELED", "the request was cancelled"));
      const onClose = () => fail(channelLost(undefined));
      const onError = (error: unknown) => fail(channelLost(error));
      const settle = () => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", onAbort);
        stream.off("close", onClose);
        stream.off("error", onError);
      };
      const fail = (error: FirebreakError) => {
        settle();
        stream.destroy();
        reject(error);
      };
      stream.once("response", (headers) => {
        settle();
        const status = Number(headers[":status"]);
        if (status < 400) return resolve({ stream, headers });
        collect(stream, 64 * 1024)
          .then((bytes) => {
            const body = guestErrorSchema.safeParse(parseJson(bytes.toString("utf8")));
            reject(
              body.success
                ? translateGuestError(body.data.error.code, body.data.error.message, requestPath)
                : new FirebreakError(
                    "GUEST_PROTOCOL_ERROR",
                    `the guest agent answered ${status} without an error body`,
                  ),
            );
          })
          .catch(reject);
      });
      stream.once("close", onClose);
      stream.once("error", onError);
      options.signal?.addEventListener("abort", onAbort, { once: true });
      if (options.signal?.aborted) onAbort();
    });
  }

  async #stream(method: string, path: string, options: RequestOptions): Promise<GuestResponse> {
    return this.#head(await this.#open(method, path, {}), path, options);
  }

  async #json<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    options?: RequestOptions,
  ): Promise<T>;
  async #json(
    method: string,
    path: string,
    body: unknown,
    schema: undefined,
    options?: RequestOptions,
  ): Promise<undefined>;
  async #json<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T> | undefined,
    options: RequestOptions = {},
  ) {
    const stream = await this.#open(method, path, body === undefined ? {} : { "content-type": "application/json" });
    if (body !== undefined) stream.end(JSON.stringify(body));
    const response = await this.#head(stream, path, options);
    const bytes = await withDeadline(
      collect(response.stream, MAX_JSON_BYTES),
      options.deadlineMs ?? DEFAULT_DEADLINE_MS,
      stream,
    );
    return schema === undefined ? undefined : parseGuest(schema, parseJson(bytes.toString("utf8")));
  }

  async #upload<T>(path: string, body: Readable, schema: z.ZodType<T>, options: RequestOptions): Promise<T> {
    const stream = await this.#open("PUT", path, { "content-type": "application/octet-stream" });
    const head = this.#head(stream, path, { ...options, deadlineMs: options.deadlineMs ?? 24 * 3600_000 });
    const sent = pipeline(body, stream, {
      end: true,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    // The guest may refuse before all is sent (a full disk): its answer counts, not the broken pipe.
    sent.catch(() => stream.destroy());
    const response = await head.catch(async (error: unknown) => {
      body.destroy();
      throw error;
    });
    const bytes = await collect(response.stream, MAX_JSON_BYTES);
    return parseGuest(schema, parseJson(bytes.toString("utf8")));
  }
}

export function drivePath(serial: string, action: string): string {
  return `/v1/drives/${encodeURIComponent(serial)}/${action}`;
}

function execPath(id: string, rest = ""): string {
  return `/v1/execs/${encodeURIComponent(id)}${rest}`;
}

function query(values: Record<string, string | number | boolean | undefined>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined);
  return pairs.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&");
}

function channelLost(cause: unknown): FirebreakError {
  return new FirebreakError("CHANNEL_LOST", "the channel to the guest broke during the request", { cause });
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Parses what a guest sent; a mismatch is the guest's fault and says where it is. */
export function parseGuest<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new FirebreakError(
    "GUEST_PROTOCOL_ERROR",
    `the guest agent's answer is malformed at '${issue?.path.join(".") ?? ""}': ${issue?.message ?? "no JSON"}`,
  );
}

function collect(stream: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      reject(new FirebreakError("GUEST_PROTOCOL_ERROR", `the guest agent's answer is larger than ${maxBytes} bytes`));
      stream.destroy();
    });
    stream.once("end", () => resolve(Buffer.concat(chunks)));
    stream.once("error", (error) => reject(channelLost(error)));
    stream.once("close", () => reject(channelLost(undefined)));
  });
}

function withDeadline<T>(work: Promise<T>, deadlineMs: number, stream: ClientHttp2Stream): Promise<T> {
  const timer = setTimeout(() => stream.destroy(), deadlineMs);
  return work.finally(() => clearTimeout(timer));
}
