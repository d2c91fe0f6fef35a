import type { ClientRequest } from "node:http";
import type { FirebreakError } from "../errors/firebreak-error.ts";

export interface RequestHead {
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  signal?: AbortSignal;
}

/** Where a daemon is reached. */
export interface Endpoint {
  open(head: RequestHead): ClientRequest;
  /** Why no connection came about; undefined when one did, and broke. */
  explainFailure(error: NodeJS.ErrnoException): FirebreakError | undefined;
  /** Why what answers is of no use, by the version in its answer's head; undefined when it is. */
  explainVersion(path: string, version: unknown): FirebreakError | undefined;
}

/** What a daemon of another version is asked, to be told to end. */
export const SAME_IN_ALL_VERSIONS: ReadonlySet<string> = new Set(["/v1/status", "/v1/shutdown"]);
