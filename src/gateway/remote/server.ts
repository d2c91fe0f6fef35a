import { digestOf } from "../../contract/canonical-json.ts";
import type { RemoteServer as RemoteConfig } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { Mutex } from "../../vms/mutex.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import type { Lent, Managed, Packages } from "../managed.ts";
import type { ServerLogin } from "../oauth/server-login.ts";
import type { ServerHooks } from "../server.ts";
import type { RemoteState, ServerRecord } from "../server-store.ts";
import { type Definitions, listDefinitions } from "../upstream/definitions.ts";
import type { ClientInfo } from "../upstream/session.ts";
import type { RemoteLink } from "./connect.ts";
import type { Dial } from "./dial.ts";
import type { SecretFor } from "./target.ts";

/** A server that nobody has called for so long is let go of; the next call reaches it again. */
const IDLE_MS = 15 * 60_000;
/** With one server, for as many principals; the one that was not used for longest gives way. */
const MAX_SESSIONS = 64;
const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;
const RELIST = ["notifications/tools/list_changed", {}] as const;

export interface RemoteServerDeps {
  client: ClientInfo;
  hooks: ServerHooks;
  secretFor: SecretFor;
  dial: Dial;
  login: ServerLogin | undefined;
  /** Keeps what is known of the server. */
  save: (changes: Partial<Pick<ServerRecord, "warm">>) => void;
  idleMs?: number;
}

/** A session with the server. */
interface Slot {
  /** The principal whose it is; undefined while it is nobody's. */
  owner: string | undefined;
  link: RemoteLink;
  uses: number;
  usedMs: number;
  idle: NodeJS.Timeout | undefined;
}

/**
 * A server that runs elsewhere and is reached over HTTP. One of the older revisions may ask without saying for which call it does: each principal has a session
 * of its own with it, so that nobody is asked about another's. One of the newer revision has no sessions.
 */
export class RemoteServer implements Managed {
  readonly config: RemoteConfig;
  readonly installed = undefined;
  readonly runningVms: string[] = [];
  readonly #deps: RemoteServerDeps;
  readonly #lock = new Mutex();
  #known: RemoteState | undefined;
  #slots: Slot[] = [];

  constructor(record: ServerRecord, deps: RemoteServerDeps) {
    this.config = record.config as RemoteConfig;
    this.#known = record.warm as RemoteState | undefined;
    this.#deps = deps;
  }

  get warm(): RemoteState | undefined {
    return this.#known?.key === this.#key() ? this.#known : undefined;
  }

  get definitions(): Definitions | undefined {
    return this.warm?.definitions;
  }

  get login(): ServerLogin | undefined {
    return this.#deps.login;
  }

  get isUp(): boolean {
    return this.#slots.some(isOpen);
  }

  get isReady(): boolean {
    return this.isUp && this.warm !== undefined;
  }

  redefine(definitions: Definitions): boolean {
    const { warm } = this;
    if (warm === undefined || digestOf(warm.definitions) === digestOf(definitions)) return false;
    this.#keep({ ...warm, definitions });
    return true;
  }

  async prepare(options: WorkOptions = {}): Promise<RemoteState> {
    if (this.warm === undefined) await this.use(undefined, options, async () => {});
    return this.warm as RemoteState; // it is kept with the first session
  }

  async use<T>(key: string | undefined, options: WorkOptions, work: (lent: Lent) => Promise<T>): Promise<T> {
    const slot = await this.#ensure(key, options);
    slot.uses++;
    clearTimeout(slot.idle);
    try {
      return await work(slot.link);
    } finally {
      slot.uses--;
      slot.usedMs = Date.now();
      this.#watchIdle(slot);
    }
  }

  /** Sessions are those of principals, who may have several clients. */
  async endSession(): Promise<void> {}

  /** Nothing of it runs here. */
  async watchFound(): Promise<void> {}

  /** Nothing of it is installed here. */
  async update(): Promise<{ before: Packages; after: Packages }> {
    return { before: [], after: [] };
  }

  async stop(): Promise<void> {
    this.close();
  }

  close(): void {
    for (const slot of [...this.#slots]) this.#letGo(slot);
  }

  async remove(): Promise<void> {
    this.close();
    this.login?.forget();
  }

  async #ensure(key: string | undefined, options: WorkOptions): Promise<Slot> {
    const found = this.#find(key);
    if (found !== undefined) return found;
    return this.#lock.run(async () => {
      const made = this.#find(key);
      if (made !== undefined) return made;
      this.#makeRoom();
      options.onProgress?.({ step: "start", message: `reaching '${this.config.name}'` });
      return this.#open(key);
    });
  }

  #find(key: string | undefined): Slot | undefined {
    this.#slots = this.#slots.filter(isOpen);
    const [first] = this.#slots;
    if (key === undefined || first?.link.session.terms.era === "modern") return first;
    const slot = this.#slots.find(({ owner }) => owner === key) ?? this.#slots.find(({ owner }) => owner === undefined);
    if (slot !== undefined) slot.owner = key;
    return slot;
  }

  #makeRoom(): void {
    if (this.#slots.length < MAX_SESSIONS) return;
    const [oldest] = this.#slots.filter(({ uses }) => uses === 0).sort((a, b) => a.usedMs - b.usedMs);
    if (oldest === undefined)
      throw new FirebreakError("SERVER_BUSY", `the server '${this.config.name}' has ${MAX_SESSIONS} sessions in use`);
    this.#letGo(oldest);
  }

  async #open(owner: string | undefined): Promise<Slot> {
    const { warm } = this;
    const slot: Omit<Slot, "link"> = { owner, uses: 0, usedMs: Date.now(), idle: undefined };
    const link = await this.#connect(slot, warm);
    const { session, transport, opening } = link;
    try {
      const definitions = warm?.definitions ?? (await listDefinitions(session, this.config.name));
      const at = new Date().toISOString();
      this.#keep({ key: this.#key(), transport, opening, terms: session.terms, definitions, at });
    } catch (thrown) {
      session.close();
      throw thrown;
    }
    const isFirst = this.#slots.length === 0;
    const opened = Object.assign(slot, { link });
    this.#slots.push(opened);
    this.#watchIdle(opened);
    // It may offer something else since it was last spoken to.
    if (warm !== undefined && isFirst) setImmediate(() => this.#deps.hooks.onNotification(undefined, ...RELIST));
    return opened;
  }

  async #connect(slot: Pick<Slot, "owner">, known: RemoteState | undefined): Promise<RemoteLink> {
    const { client, secretFor, dial, login, hooks } = this.#deps;
    // Who has no such server does without the code for it.
    const { connect } = await import("./connect.ts");
    return connect({
      config: this.config,
      client,
      secretFor,
      dial,
      login,
      known,
      schemaOf: (tool) => this.definitions?.tools.find(({ name }) => name === tool)?.inputSchema,
      onGap: () => hooks.onNotification(undefined, ...RELIST),
      onNotification: (method, params) => {
        // All sessions are told of it, and one that listens is enough.
        if (!LIST_CHANGED.test(method) || slot === this.#slots[0]) hooks.onNotification(slot.owner, method, params);
      },
      onRequest: (method, params, signal) => hooks.onRequest(slot.owner, method, params, signal),
      onNoise: (what) => hooks.onLog(`[not MCP] ${what}\n`),
      onClosed: () => {},
    });
  }

  #keep(state: RemoteState): void {
    this.#known = state;
    this.#deps.save({ warm: state });
  }

  /** Headers' names and references are of it, the secrets' values are not. */
  #key(): string {
    const { url, transport, headers } = this.config;
    return digestOf({ url, transport: transport ?? null, headers });
  }

  #letGo(slot: Slot): void {
    clearTimeout(slot.idle);
    this.#slots = this.#slots.filter((each) => each !== slot);
    slot.link.session.close();
  }

  #watchIdle(slot: Slot): void {
    clearTimeout(slot.idle);
    if (slot.uses > 0 || !this.#slots.includes(slot)) return;
    slot.idle = setTimeout(() => this.#letGo(slot), this.#deps.idleMs ?? IDLE_MS);
    slot.idle.unref();
  }
}

function isOpen({ link }: Slot): boolean {
  return !link.session.isClosed;
}
