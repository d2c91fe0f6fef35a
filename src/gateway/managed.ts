import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { ServerLogin } from "./oauth/server-login.ts";
import type { InstalledState, KnownState } from "./server-store.ts";
import type { Definitions } from "./upstream/definitions.ts";
import type { UpstreamSession } from "./upstream/session.ts";

export type Packages = InstalledState["installed"]["packages"];

/** What installing a server anew comes to; of its image, where it names one, `after` has the digest. */
export interface Update {
  before: Packages;
  after: Packages;
  image?: { name: string; from: string | undefined; to: string } | undefined;
}

/** A session with a server, for as long as a piece of work uses it. */
export interface Lent {
  readonly session: UpstreamSession;
}

export interface PrepareOptions extends WorkOptions {
  /** It is started at once, also when it has just failed to. */
  isForced?: boolean;
  /** What is installed is to be what the lock has: it is installed anew where it is something else. */
  isAsLocked?: boolean;
}

/** What the last start of a server has failed with, and from when on a call tries again. */
export interface StartFailure {
  error: FirebreakError;
  retryAtMs: number;
}

/** One MCP server, wherever it runs. */
export interface Managed {
  /** What it offers, as it was last listed; undefined before its first start. */
  readonly definitions: Definitions | undefined;
  /** What is known of it as its configuration is now. */
  readonly warm: KnownState | undefined;
  readonly installed: InstalledState | undefined;
  /** How its calls are authorized, of one that runs elsewhere and has no header for that. */
  readonly login?: ServerLogin | undefined;
  /** Of its last start; undefined when that went well. */
  readonly failure?: StartFailure | undefined;
  /** Whether it is spoken to. */
  readonly isUp: boolean;
  /** Whether it is up and known as its configuration is now, so that there is nothing to prepare. */
  readonly isReady: boolean;
  /** Ids of the VMs that it runs in. */
  readonly runningVms: string[];
  /** What it says now that it offers. Returns whether that is something else than before. */
  redefine(definitions: Definitions): boolean;
  /** Makes its acquaintance, if that has not been done for what its configuration says now. Throws SERVER_… */
  prepare(options?: PrepareOptions): Promise<KnownState>;
  /** Lends a session with it; it is started, or reached, for that. `key` is the client's session where each has a server of its own. */
  use<T>(key: string | undefined, options: PrepareOptions, work: (lent: Lent) => Promise<T>): Promise<T>;
  /** A client's session is over. */
  endSession(key: string): Promise<void>;
  /** Ends what runs of it; what is known of it stays. */
  stop(): Promise<void>;
  /** Lets go of it, as a daemon does that ends. */
  close(): void;
  /** Sees to what an earlier daemon has left running of it. */
  watchFound(): Promise<void>;
  /** Installs it anew, and tells what that changes; a trial only tells. Throws SERVER_INSTALL_FAILED. */
  update(isTrial: boolean, options?: WorkOptions): Promise<Update>;
  /** Takes away all that there is of it. */
  remove(): Promise<void>;
}
