import type { SERVER_TRANSPORTS, ServerConfig } from "../contract/server.ts";
import type { Installed } from "./install/install.ts";
import type { Definitions } from "./upstream/definitions.ts";
import type { Opening, UpstreamTerms } from "./upstream/session.ts";

/** A server's installation, saved: what its VMs begin with when it is not running in them yet. */
export interface InstalledState {
  /** Of all that it was made of; another one is made anew. */
  key: string;
  installed: Installed;
  /** Absent for a server that needs no installation: it begins with its image. */
  snapshot?: string;
}

/** What is known of a server that has been spoken to. */
export interface KnownState {
  /** Of all that it was asked with; what is known of another one is asked anew. */
  key: string;
  opening: Opening;
  terms: UpstreamTerms;
  definitions: Definitions;
  at: string;
}

/** A server that runs elsewhere and has been reached. */
export interface RemoteState extends KnownState {
  transport: (typeof SERVER_TRANSPORTS)[number];
}

/** A server that has been started, listed and saved. */
export interface WarmState extends KnownState {
  /** Absent for one that is started afresh each time, since it gets values of secrets. */
  snapshot?: string;
  /** The command that it is, and where its output stood when it was saved. */
  execId: string;
  offset: number;
  /** What of its configuration could not be done. */
  warnings?: string[];
}

export interface ServerRecord {
  config: ServerConfig;
  /** The file that it comes from, or who set it. */
  source: string;
  /** What stands for the `workspace` of the file's defaults. */
  workspace?: string;
  installed?: InstalledState;
  /** Of a server in a VM it is a WarmState, of another one a RemoteState. */
  warm?: KnownState;
  createdAt: string;
}

export interface ServerStore {
  list(): ServerRecord[];
  get(name: string): ServerRecord | undefined;
  put(record: ServerRecord): void;
  remove(name: string): void;
}
