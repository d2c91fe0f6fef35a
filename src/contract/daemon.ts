import type { ErrorBody } from "../errors/firebreak-error.ts";
import type { ListenStatus } from "./listen.ts";
import type { Progress } from "./vm.ts";

/** The version of the HTTP API: a CLI and a daemon that differ in it do not talk. */
export const API_VERSION = 2;
/** Header of every answer: what the daemon speaks, so that no request has to ask first. */
export const API_VERSION_HEADER = "firebreak-api-version";

export interface DaemonStatus {
  version: string;
  apiVersion: number;
  pid: number;
  startedAt: string;
  home: string;
  socket: string;
  vms: { total: number; running: number };
  rssBytes: number;
  /** Where it listens besides its socket, or was told to. */
  listen?: ListenStatus;
}

export interface ImageInfo {
  name: string;
  digest: string;
  sizeBytes: number;
  format: string;
  createdAt: string;
  recipe?: string;
}

export interface KernelInfo {
  id: string;
  /** `uname -r` of a guest. */
  release: string;
  /** Debian's as it is, or built from Debian's source with our configuration. */
  kind: "stock" | "built";
  /** New VMs get it. */
  isCurrent: boolean;
  /** Of all its files. */
  sizeBytes: number;
  /** The Debian package that it came from, and that package's version. */
  package: string;
  version: string;
  createdAt: string;
}

export interface DoctorCheck {
  name: string;
  ok: boolean;
  /** A thing that is missing but not needed for the main job. */
  optional?: boolean;
  message: string;
  hint?: string;
}

/** One line of an `application/x-ndjson` answer: any number of progress lines, then a result or an error. */
export type StreamLine<T> = { progress: Progress } | { result: T } | { error: ErrorBody };
