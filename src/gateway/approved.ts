import type { DefinitionKind } from "../contract/scan.ts";
import type { ServerScan } from "../contract/server.ts";
import type { ServerFacts } from "./pin/compare.ts";
import type { LockScan, LockServer } from "./pin/lock.ts";
import type { Definitions } from "./upstream/definitions.ts";

/** A server as it is judged. */
export interface Judged {
  name: string;
  /** The configuration file that it comes from; the lock stands beside it. */
  source: string;
  definitions: Definitions;
  instructions?: string | undefined;
  facts: Omit<ServerFacts, "scan">;
  otherServers: { name: string; tools: string[] }[];
}

/** Names that may be offered, by kind, and what was found when they were last looked at. */
export type Approved = Readonly<Record<DefinitionKind, ReadonlySet<string>>> & {
  readonly verdict?: LockScan["verdict"] | undefined;
};

export const NOTHING_APPROVED: Approved = {
  tool: new Set(),
  prompt: new Set(),
  resource: new Set(),
  resource_template: new Set(),
};

/** Says what of a server may be offered; src/gateway/pins.ts does. */
export interface Judge {
  judge(server: Judged): Promise<Approved>;
  scan(server: Judged): Promise<ServerScan>;
  /** What was written down of a server beside its configuration file; undefined when nothing was. Throws SERVER_LOCK_INVALID. */
  locked(server: Pick<Judged, "name" | "source">): Promise<LockServer | undefined>;
  approve(server: Judged, only?: readonly { kind: DefinitionKind; name: string }[]): Promise<Approved>;
}

/** One that is made when it is first asked: a daemon without servers does without its code, and the memory for it. */
export function lazyJudge(make: () => Promise<Judge>): Judge {
  let made: Promise<Judge> | undefined;
  const judge = () => {
    made ??= make();
    return made;
  };
  return {
    judge: async (server) => (await judge()).judge(server),
    scan: async (server) => (await judge()).scan(server),
    locked: async (server) => (await judge()).locked(server),
    approve: async (server, only) => (await judge()).approve(server, only),
  };
}
