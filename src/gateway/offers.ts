import type { ServerApprove, ServerScan } from "../contract/server.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { apart, asSpan } from "../telemetry/tracing.ts";
import { type Judge, type Judged, NOTHING_APPROVED } from "./approved.ts";
import { Coalesced } from "./coalesce.ts";
import type { Entry } from "./entry.ts";
import { installedFacts } from "./installed-facts.ts";
import type { PrepareOptions } from "./managed.ts";
import { listDefinitions } from "./upstream/definitions.ts";

/** What a server offers is asked for no more often than this, however often it says that it has changed. */
const RELIST_GAP_MS = 1_000;

export interface OffersDeps {
  pins: Judge;
  /** Throws SERVER_NOT_FOUND. */
  find: (name: string) => Entry;
  all: () => Iterable<Entry>;
  /** What a server may be shown to offer is not what it was. */
  onChanged: (name: string) => void;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** What servers offer, and what of that may be shown. */
export class Offers {
  readonly #deps: OffersDeps;

  constructor(deps: OffersDeps) {
    this.#deps = deps;
  }

  /** What there is to say of what a server offers, as far as is known. */
  scan(name: string): Promise<ServerScan> {
    return asScan(name, () => this.#deps.pins.scan(this.#judgedOf(this.#deps.find(name))));
  }

  /** Has what waits offered, all or only those. */
  async approve(name: string, only: ServerApprove["only"]): Promise<ServerScan> {
    const { find, pins, onChanged } = this.#deps;
    const entry = find(name);
    entry.approved = await pins.approve(this.#judgedOf(entry), only);
    onChanged(name);
    return pins.scan(this.#judgedOf(entry));
  }

  /** Asks a server what it offers, now. */
  async list(name: string, key: string | undefined, options: PrepareOptions = {}): Promise<void> {
    const { managed } = this.#deps.find(name);
    const definitions = await managed.use(key, options, ({ session }) => listDefinitions(session, name));
    if (managed.redefine(definitions)) await this.judge(name);
  }

  /** A server says that it offers something else than it did. */
  relistSoon(name: string, key: string | undefined): void {
    const { relisting } = this.#deps.find(name);
    const coalesced = relisting.get(key) ?? new Coalesced(() => this.#relist(name, key), RELIST_GAP_MS);
    relisting.set(key, coalesced);
    // It tells of it while it works for somebody, and not for whom.
    apart(() => coalesced.ask());
  }

  /** Never throws: a server whose lock cannot be read offers nothing. */
  async judge(name: string): Promise<void> {
    const { find, pins, log } = this.#deps;
    const entry = find(name);
    if (entry.managed.definitions === undefined) return;
    try {
      entry.approved = await asScan(name, () => pins.judge(this.#judgedOf(entry)));
    } catch (thrown) {
      entry.approved = NOTHING_APPROVED;
      entry.failure = toFirebreakError(thrown);
      log("what a server offers could not be judged", { server: name, error: entry.failure.message });
    }
  }

  async #relist(name: string, key: string | undefined): Promise<void> {
    const { find, onChanged, log } = this.#deps;
    try {
      if (!find(name).record.config.enabled) return;
      await this.list(name, key);
      // Also of what looks the same here: it is the server that says so, and it is asked for no more than once in a while.
      onChanged(name);
    } catch (thrown) {
      log("what a server offers now could not be read", { server: name, error: toFirebreakError(thrown).message });
    }
  }

  #judgedOf({ record, managed }: Entry): Judged {
    const { name } = record.config;
    const { definitions, warm, installed } = managed;
    if (definitions === undefined || warm === undefined)
      throw new FirebreakError("SERVER_FAILED", `the server '${name}' has not been started yet`, {
        hint: `Start it: firebreak server start ${name}`,
      });
    return {
      name,
      source: record.source,
      definitions,
      instructions: warm.terms.instructions,
      facts: {
        ...installedFacts(installed?.installed),
        protocolVersion: warm.terms.protocolVersion,
      },
      otherServers: [...this.#deps.all()]
        .filter((other) => other.record.config.name !== name)
        .map((other) => ({
          name: other.record.config.name,
          tools: (other.managed.definitions?.tools ?? []).map((tool) => tool.name),
        })),
    };
  }
}

function asScan<T>(name: string, work: () => Promise<T>): Promise<T> {
  return asSpan("firebreak.server.scan", { "firebreak.server.name": name }, work);
}
