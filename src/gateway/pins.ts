import path from "node:path";
import type { DefinitionKind, Finding } from "../contract/scan.ts";
import { verdictOf } from "../contract/scan.ts";
import type { ServerScan } from "../contract/server.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { quoteBriefly } from "../platform/hidden-text.ts";
import { Mutex } from "../vms/mutex.ts";
import type { Approved, Judge, Judged } from "./approved.ts";
import { approve, compareWithLock, gate, toLockScan, withInstalled } from "./pin/compare.ts";
import { diffDefinitions } from "./pin/definition-diff.ts";
import { DefinitionStore } from "./pin/definition-store.ts";
import type { Lock, LockServer } from "./pin/lock.ts";
import { readLock, writeLock } from "./pin/lock-file.ts";
import { checkDefinitions } from "./scan/check.ts";
import { LISTS } from "./scan/definitions.ts";
import type { Definitions } from "./upstream/definitions.ts";

export interface PinsOptions {
  /** Where approved definitions are kept whole. */
  folder: string;
  /** Where locks of sources that are no files are. */
  home: string;
}

/** What servers were approved with, in the `firebreak.lock` beside each configuration file. */
export class Pins implements Judge {
  readonly #options: PinsOptions;
  readonly #store: DefinitionStore;
  /** One writer at a time, whatever the file. */
  readonly #writing = new Mutex();

  constructor(options: PinsOptions) {
    this.#options = options;
    this.#store = new DefinitionStore(options.folder);
  }

  lockFile(source: string): string {
    return path.isAbsolute(source)
      ? path.join(path.dirname(source), "firebreak.lock")
      : path.join(this.#options.home, "firebreak.lock");
  }

  /**
   * What of a server may be offered. One that no lock knows is approved as it is, but for what there are findings of `danger` against: that waits for
   * somebody to look at it.
   */
  async judge(server: Judged): Promise<Approved> {
    return this.#writing.run(async () => {
      const file = this.lockFile(server.source);
      let lock = await readLock(file);
      if (!lock.has(server.name)) {
        const findings = this.#check(server);
        lock = await this.#approve(file, lock, server, findings, harmless(server.definitions, findings));
      }
      // What was installed is told of beside what was approved, so that a diff of the file shows it.
      const told = withInstalled(lock, server.name, server.facts);
      if (told !== lock) await writeLock(file, told);
      return approvedOf(lock, server);
    });
  }

  /** What the lock has of a server; undefined when it does not know it. */
  async locked({ name, source }: Pick<Judged, "name" | "source">): Promise<LockServer | undefined> {
    return (await readLock(this.lockFile(source))).get(name);
  }

  /** What there is to say of a server, and what waits for an approval. */
  async scan(server: Judged): Promise<ServerScan> {
    const lock = await readLock(this.lockFile(server.source));
    const kept = await this.#store.lookup(lock, server.name);
    const { added, changed, removed, refused } = compareWithLock(lock, server.name, server.definitions, kept);
    const findings = this.#check(server);
    return {
      server: server.name,
      verdict: verdictOf(findings),
      findings,
      pending: [
        ...added.map(({ kind, name, definition }) => ({
          kind,
          name,
          what: "new" as const,
          diff: diffDefinitions(undefined, definition),
        })),
        ...changed.map(({ kind, name, before, after }) => ({
          kind,
          name,
          what: "changed" as const,
          diff: diffDefinitions(before, after),
        })),
      ],
      removed: removed.map(({ kind, name }) => ({ kind, name })),
      refused,
    };
  }

  /** Approves what a server offers now, all of it or only those. Throws INVALID_ARGUMENT for what it does not offer. */
  async approve(server: Judged, only?: readonly { kind: DefinitionKind; name: string }[]): Promise<Approved> {
    return this.#writing.run(async () => {
      const file = this.lockFile(server.source);
      const lock = await readLock(file);
      const offered = gateAll(lock, server);
      const unknown = only?.find(({ kind, name }) => !offered[kind].has(name));
      if (unknown !== undefined)
        throw new FirebreakError(
          "INVALID_ARGUMENT",
          `the server '${server.name}' offers no ${unknown.kind} '${unknown.name}'`,
        );
      return approvedOf(await this.#approve(file, lock, server, this.#check(server), only), server);
    });
  }

  async #approve(
    file: string,
    lock: Lock,
    server: Judged,
    findings: Finding[],
    only: Parameters<typeof approve>[4],
  ): Promise<Lock> {
    const approved = approve(
      lock,
      server.name,
      server.definitions,
      { ...server.facts, scan: toLockScan(findings, new Date()) },
      only,
    );
    // One that cannot be pinned is never offered, and needs no keeping.
    for (const [kind, list] of LISTS)
      for (const definition of server.definitions[list]) await this.#store.keep(kind, definition).catch(() => {});
    await writeLock(file, approved);
    return approved;
  }

  #check({ name, definitions, instructions, otherServers }: Judged): Finding[] {
    return checkDefinitions({
      server: name,
      ...definitions,
      otherServers,
      ...(instructions === undefined ? {} : { instructions }),
    });
  }
}

function gateAll(lock: Lock, { name, definitions }: Judged) {
  return Object.fromEntries(LISTS.map(([kind, list]) => [kind, gate(lock, name, definitions[list], kind)])) as Record<
    DefinitionKind,
    ReturnType<typeof gate>
  >;
}

function approvedOf(lock: Lock, server: Judged): Approved {
  const verdicts = gateAll(lock, server);
  const ok = (kind: DefinitionKind) =>
    new Set([...verdicts[kind]].flatMap(([name, verdict]) => (verdict === "ok" ? [name] : [])));
  return {
    tool: ok("tool"),
    prompt: ok("prompt"),
    resource: ok("resource"),
    resource_template: ok("resource_template"),
    verdict: lock.get(server.name)?.scan?.verdict,
  };
}

/** What no finding of `danger` is about. */
function harmless(definitions: Definitions, findings: readonly Finding[]): { kind: DefinitionKind; name: string }[] {
  const dangerous = new Set(
    findings.filter(({ severity }) => severity === "danger").map(({ kind, subject }) => `${kind} ${subject}`),
  );
  const names = {
    tool: definitions.tools.map(({ name }) => name),
    prompt: definitions.prompts.map(({ name }) => name),
    resource: definitions.resources.map(({ uri }) => uri),
    resource_template: definitions.resourceTemplates.map(({ uriTemplate }) => uriTemplate),
  };
  return (Object.keys(names) as DefinitionKind[]).flatMap((kind) =>
    names[kind].filter((name) => !dangerous.has(`${kind} ${quoteBriefly(name, 200)}`)).map((name) => ({ kind, name })),
  );
}
