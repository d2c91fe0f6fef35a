import type { Readable } from "node:stream";
import type { Drive, DriveAttach, DriveContent, DriveCreate, VmDrive } from "../../contract/drive.ts";
import { type CallOptions, type DaemonHttp, readText, signalOf } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Drives, and which VM has them. */
export class DriveCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Drive[]> {
    return (await this.#http.json<{ drives: Drive[] }>("GET", "/v1/drives", options)).drives;
  }

  get(drive: string, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("GET", drivePath(drive), options);
  }

  create(request: DriveCreate, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("POST", "/v1/drives", options, request);
  }

  /** A drive with the bytes of `body`, or with the files of an archive. */
  async createFrom(
    request: { name: string; sizeMib?: number; content: DriveContent },
    body: Readable,
    options: CallOptions = {},
  ): Promise<Drive> {
    const { name, ...query } = request;
    const contentType = query.content === "tar" ? "application/x-tar" : "application/octet-stream";
    const response = await this.#http.raw("PUT", drivePath(name), { query, body, contentType, ...signalOf(options) });
    return JSON.parse(await readText(response)) as Drive;
  }

  grow(drive: string, sizeMib: number, options: CallOptions = {}): Promise<Drive> {
    return this.#http.lines("POST", `${drivePath(drive)}/grow`, { sizeMib }, options);
  }

  /** What is on it is lost. */
  delete(drive: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", drivePath(drive), options);
  }

  /** Those that a VM is to have. */
  async listOf(vm: string, options: CallOptions = {}): Promise<VmDrive[]> {
    return (await this.#http.json<{ drives: VmDrive[] }>("GET", `${vmPath(vm)}/drives`, options)).drives;
  }

  attach(vm: string, request: DriveAttach, options: CallOptions = {}): Promise<VmDrive> {
    return this.#http.lines("POST", `${vmPath(vm)}/drives`, request, options);
  }

  detach(vm: string, drive: string, force: boolean, options: CallOptions = {}): Promise<VmDrive> {
    const path = `${vmPath(vm)}/drives/${encodeURIComponent(drive)}/detach`;
    return this.#http.lines("POST", path, { force }, options);
  }
}

function drivePath(drive: string): string {
  return `/v1/drives/${encodeURIComponent(drive)}`;
}
