import type { AuditCall } from "../contract/audit.ts";
import { digestOf } from "../contract/canonical-json.ts";
import type {
  Server,
  ServerApplied,
  ServerApprove,
  ServerConfig,
  ServerLoginBegun,
  ServerScan,
  ServerUpdated,
} from "../contract/server.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";
import { asTrace } from "../telemetry/tracing.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { type Judge, NOTHING_APPROVED } from "./approved.ts";
import { Calls, ParkedCalls } from "./calls.ts";
import type { Entry } from "./entry.ts";
import { CallLimits } from "./limits.ts";
import type { Machines } from "./machine.ts";
import type { Managed, PrepareOptions } from "./managed.ts";
import type { LoginStore } from "./oauth/logins.ts";
import { ServerLogin } from "./oauth/server-login.ts";
import { Offers } from "./offers.ts";
import type { Dial } from "./remote/dial.ts";
import { RemoteServer, type RemoteServerDeps } from "./remote/server.ts";
import type { SecretFor } from "./remote/target.ts";
import { ManagedServer } from "./server.ts";
import type { ServerRecord, ServerStore } from "./server-store.ts";
import { onlyApproved, toServer } from "./server-view.ts";
import type { Definitions } from "./upstream/definitions.ts";
import type { ClientInfo } from "./upstream/session.ts";

export interface GatewayOptions {
  store: ServerStore;
  machines: Machines;
  client: ClientInfo;
  pins: Judge;
  audit: Audit;
  /** Secrets for servers that run elsewhere. */
  secretFor: SecretFor;
  /** Connections to servers that run elsewhere, and to what authorizes calls of them. */
  dial: Dial;
  logins: LoginStore;
  /** Whether a client's session, by its id, can be gone on with. */
  hasSession: (id: string) => boolean;
  /** Takes what a server prints beside the protocol. */
  writeLog: (server: string, text: string) => void;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Where calls are recorded. */
export interface Audit {
  /** Throws AUDIT_UNAVAILABLE when calls that cannot be recorded are not to be made. */
  requireWritable(): void;
  record(call: AuditCall): void;
}

/** What those who serve clients hear of. */
export interface GatewayListener {
  onOffersChanged?: (server: string) => void;
  /** `key` is the session whose VM it is of; undefined for the shared one. */
  onResourceUpdated?: (server: string, uri: string, key: string | undefined) => void;
}

/** As both transports that have sessions make them. */
const SESSION_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** The MCP servers of one installation. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<GatewayListener>();
  readonly #offers: Offers;
  readonly parked = new ParkedCalls();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#offers = new Offers({
      pins: options.pins,
      log: options.log,
      find: (name) => this.#find(name),
      all: () => this.#entries.values(),
      onChanged: (name) => this.#tell((listener) => listener.onOffersChanged?.(name)),
    });
    for (const record of options.store.list()) this.#add(record);
  }

  /** Finds the VMs of servers again; those of servers that are gone go. */
  async recover(): Promise<void> {
    const { machines } = this.#options;
    await Promise.all([...this.#entries.keys()].map((name) => this.#offers.judge(name)));
    const residents = [...this.#entries.values()].filter(({ record }) => isResident(record.config));
    for (const { record } of residents) this.warmUp(record.config.name);
    const gone = machines.vms
      .list()
      .filter(
        ({ labels }) => labels["firebreak/server"] !== undefined && !this.#entries.has(labels["firebreak/server"]),
      );
    await Promise.all([
      ...gone.map(({ id }) => machines.delete(id)),
      ...[...this.#entries.values()].map(({ managed }) => managed.watchFound()),
    ]);
  }

  /** A client's session is over: with it go the VMs that it has to itself. */
  endSession(key: string): void {
    for (const { record, managed, calls, relisting } of this.#entries.values()) {
      calls.delete(key);
      relisting.delete(key);
      if (record.config.kind === "vm" && record.config.isolation === "session") void managed.endSession(key);
    }
  }

  listen(listener: GatewayListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  list(): Server[] {
    return [...this.#entries.values()].map((entry) => this.#toServer(entry)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws SERVER_NOT_FOUND. */
  get(name: string): Server {
    return this.#toServer(this.#find(name));
  }

  /** Names of those that are offered, in the order in which their tools are. */
  get offered(): string[] {
    return [...this.#entries.values()]
      .flatMap(({ record: { config } }) => (config.enabled ? [config.name] : []))
      .sort();
  }

  /** What of a server may be offered; undefined before its first start. */
  definitionsOf(name: string): Definitions | undefined {
    const { managed, approved } = this.#find(name);
    return managed.definitions === undefined ? undefined : onlyApproved(managed.definitions, approved);
  }

  limitsOf(name: string): CallLimits {
    return this.#find(name).limits;
  }

  get audit(): Audit {
    return this.#options.audit;
  }

  /** What there is to say of what a server offers now. Throws as its start does. */
  async scan(name: string, options: WorkOptions = {}): Promise<ServerScan> {
    await this.#look(name, options);
    return this.#offers.scan(name);
  }

  /** Has what waits offered, all or only those. */
  async approve(name: string, only: ServerApprove["only"], options: WorkOptions = {}): Promise<ServerScan> {
    await this.#look(name, options);
    return this.#offers.approve(name, only);
  }

  /** The session whose VM a caller's calls go to; undefined where one is shared. */
  keyOf(name: string, { principal, session }: { principal: string; session?: string | undefined }): string | undefined {
    const config = this.configOf(name);
    // A server that runs elsewhere has a session for each principal, and no VM.
    if (config.kind === "remote") return principal;
    return config.isolation === "session" ? (session ?? principal) : undefined;
  }

  configOf(name: string): ServerConfig {
    return this.#find(name).record.config;
  }

  managed(name: string): Managed {
    const { managed, record } = this.#find(name);
    if (record.config.enabled) return managed;
    throw new FirebreakError("SERVER_DISABLED", `the server '${name}' is switched off`, {
      hint: `Set enabled = true for it in ${record.source}`,
    });
  }

  calls(name: string, key: string | undefined): Calls {
    const { calls } = this.#find(name);
    const existing = calls.get(key);
    if (existing !== undefined) return existing;
    const made = new Calls();
    calls.set(key, made);
    return made;
  }

  /**
   * All servers of one file. What has changed is stopped, and made anew with the next call; the rest goes on. Throws INVALID_ARGUMENT when another file
   * has a server of one of the names.
   */
  async apply(source: string, configs: readonly ServerConfig[], workspace?: string): Promise<ServerApplied> {
    for (const config of configs) {
      const { name } = config;
      const other = this.#entries.get(name)?.record.source;
      if (other !== undefined && other !== source)
        throw new FirebreakError("INVALID_ARGUMENT", `a server named '${name}' comes from ${other}`, {
          hint: "Give one of them another name.",
        });
    }
    const wanted = new Map(configs.map((config) => [config.name, config]));
    const old = [...this.#entries.values()].filter(({ record }) => record.source === source);
    const removed = old.map(({ record }) => record.config.name).filter((name) => !wanted.has(name));
    const result: ServerApplied = { added: [], changed: [], removed, unchanged: [] };
    for (const name of removed) await this.remove(name);
    for (const config of configs) {
      const existing = this.#entries.get(config.name);
      if (existing !== undefined) this.#setWorkspace(existing, workspace);
      if (existing === undefined) {
        const createdAt = new Date().toISOString();
        const record: ServerRecord = { config, source, createdAt, ...(workspace === undefined ? {} : { workspace }) };
        this.#options.store.put(record);
        this.#add(record);
        result.added.push(config.name);
      } else if (digestOf(existing.record.config) === digestOf(config)) result.unchanged.push(config.name);
      else {
        await this.#replace(existing, config);
        result.changed.push(config.name);
      }
    }
    for (const name of [...result.added, ...result.changed]) this.#tell((listener) => listener.onOffersChanged?.(name));
    return result;
  }

  /** What stands for the `workspace` of a file's defaults. */
  workspaceOf(source: string): string | undefined {
    return [...this.#entries.values()].find(({ record }) => record.source === source)?.record.workspace;
  }

  #setWorkspace(entry: Entry, workspace: string | undefined): void {
    const { workspace: old, ...record } = entry.record;
    if (old === workspace) return;
    entry.record = { ...record, ...(workspace === undefined ? {} : { workspace }) };
    this.#options.store.put(entry.record);
  }

  async remove(name: string): Promise<void> {
    const { managed } = this.#find(name);
    this.#entries.delete(name);
    this.#options.store.remove(name);
    await managed.remove();
    this.#tell((listener) => listener.onOffersChanged?.(name));
  }

  /**
   * Installs, starts and saves a server, if that has not been done. One that has just failed to start is not tried again for a while, unless that is
   * asked for. Throws SERVER_…, VM_…
   */
  async prepare(name: string, options: PrepareOptions = {}): Promise<Server> {
    const { managed, approved } = this.#find(name);
    if (managed.warm !== undefined && approved !== NOTHING_APPROVED) return this.#prepare(name, options);
    const facts = { "firebreak.server.name": name };
    return asTrace("firebreak.server.prepare", facts, () => this.#prepare(name, options));
  }

  /** As `prepare`, before each request of a client: of a server that is ready nothing is looked up. */
  async require(name: string): Promise<void> {
    const isReady = this.managed(name).isReady && this.#find(name).approved !== NOTHING_APPROVED;
    if (!isReady) await this.prepare(name);
  }

  async #prepare(name: string, options: PrepareOptions): Promise<Server> {
    const entry = this.#find(name);
    const managed = this.managed(name);
    const before = managed.definitions;
    entry.preparing++;
    try {
      await managed.prepare(options);
      delete entry.failure;
    } catch (thrown) {
      entry.failure = toFirebreakError(thrown);
      throw thrown;
    } finally {
      entry.preparing--;
    }
    if (before !== managed.definitions || entry.approved === NOTHING_APPROVED) {
      await this.#offers.judge(name);
      this.#tell((listener) => listener.onOffersChanged?.(name));
    }
    return this.#toServer(entry);
  }

  /** Brings a server up, so that its next call finds it running: at once, also one that has just failed. */
  async start(name: string, options: WorkOptions = {}): Promise<Server> {
    const forced = { ...options, isForced: true };
    await this.prepare(name, forced);
    await this.managed(name).use(undefined, forced, async () => {});
    return this.get(name);
  }

  /** What installing a server anew changes; unless it is a trial, that is done. What it offers then and has not been approved waits. */
  async update(name: string, isTrial: boolean, options: WorkOptions = {}): Promise<ServerUpdated> {
    const { before, after, image } = await this.managed(name).update(isTrial, options);
    const old = new Map(before.map((each) => [each.name, each]));
    const now = new Set(after.map((each) => each.name));
    const changes = [
      ...(image === undefined ? [] : [image]),
      ...after
        .filter((each) => digestOf(old.get(each.name) ?? {}) !== digestOf(each))
        .map((each) => ({ name: each.name, from: old.get(each.name)?.version, to: each.version })),
      ...before.filter((each) => !now.has(each.name)).map((each) => ({ name: each.name, from: each.version })),
    ];
    if (!isTrial && changes.length > 0) await this.prepare(name, { ...options, isForced: true });
    // The lock says what is installed now, whatever it has said before.
    if (!isTrial) await this.#offers.judge(name);
    return { server: name, isTrial, changes };
  }

  async stop(name: string): Promise<Server> {
    await this.#find(name).managed.stop();
    return this.get(name);
  }

  /** Begins a login at a server that runs elsewhere. Throws SERVER_LOGIN_FAILED. */
  async beginLogin(name: string, redirectUri: string, options: WorkOptions = {}): Promise<ServerLoginBegun> {
    const login = this.#requireLogin(name);
    options.onProgress?.({ step: "login", message: `asking '${name}' how to log in` });
    return login.begin(redirectUri);
  }

  /** With the query that a browser has come back with; the server is reached then. Throws SERVER_LOGIN_FAILED, and as its start does. */
  async finishLogin(name: string, callback: string, options: WorkOptions = {}): Promise<Server> {
    const login = this.#requireLogin(name);
    options.onProgress?.({ step: "login", message: `logging in at '${name}'` });
    await login.finish(new URLSearchParams(callback));
    // Sessions from before know nothing of it.
    await this.#find(name).managed.stop();
    return this.prepare(name, options);
  }

  /** Forgets a login, if there is one. */
  async logOut(name: string): Promise<Server> {
    this.#requireLogin(name).forget();
    await this.#find(name).managed.stop();
    return this.get(name);
  }

  /** In the background; what goes wrong is told by the server's state. */
  warmUp(name: string): void {
    const { record } = this.#find(name);
    if (!record.config.enabled) return;
    const work = isResident(record.config) ? this.start(name) : this.prepare(name, { isForced: true });
    work.catch((thrown: unknown) =>
      this.#options.log("a server could not be made ready", { server: name, error: toFirebreakError(thrown).message }),
    );
  }

  close(): void {
    this.parked.close();
    for (const { managed } of this.#entries.values()) managed.close();
  }

  #find(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const nearest = findNearest(name, [...this.#entries.keys()]);
    throw new FirebreakError("SERVER_NOT_FOUND", `no MCP server is named '${name}'`, {
      hint: nearest === undefined ? "List them: firebreak server list" : `Did you mean '${nearest}'?`,
    });
  }

  #add(record: ServerRecord): void {
    const { name } = record.config;
    const entry: Entry = {
      record,
      managed: this.#manage(record),
      calls: new Map(),
      limits: new CallLimits(name, record.config.limits),
      approved: NOTHING_APPROVED,
      relisting: new Map(),
      preparing: 0,
    };
    this.#entries.set(name, entry);
  }

  async #replace(entry: Entry, config: ServerConfig): Promise<void> {
    entry.record = { ...entry.record, config };
    this.#options.store.put(entry.record);
    const old = entry.managed;
    entry.managed = this.#manage(entry.record);
    entry.limits = new CallLimits(config.name, config.limits);
    entry.approved = NOTHING_APPROVED;
    delete entry.failure;
    // A VM that stays has been told of in the log, and is tried again with the server's next start.
    await old.stop().catch(() => {});
    old.close();
    // What it offers is known still when only its limits, or its tools' names, have changed.
    await this.#offers.judge(config.name);
  }

  #manage(record: ServerRecord): Managed {
    const { store, machines, client, pins, secretFor, dial, hasSession, writeLog, log } = this.#options;
    const { name, kind } = record.config;
    const deps: RemoteServerDeps = {
      client,
      secretFor,
      dial,
      login: this.#loginOf(record.config),
      hooks: {
        onRequest: (key, method, params, signal) => this.calls(name, key).ask(method, params, signal),
        onNotification: (key, method, params) => this.#hear(name, key, method, params),
        onLog: (text) => writeLog(name, text),
      },
      save: (changes) => {
        const entry = this.#entries.get(name);
        if (entry === undefined) return;
        entry.record = { ...entry.record, ...changes };
        store.put(entry.record);
      },
    };
    // Clients without sessions have their principal in the place of one.
    const isSessionOver = (key: string) => SESSION_ID.test(key) && !hasSession(key);
    return kind === "remote"
      ? new RemoteServer(record, deps)
      : new ManagedServer(record, {
          ...{ ...deps, machines, isSessionOver, log },
          locked: () => pins.locked({ name, source: record.source }),
        });
  }

  #loginOf(config: ServerConfig): ServerLogin | undefined {
    const { logins, dial, secretFor, client } = this.#options;
    if (config.kind === "remote" && !Object.keys(config.headers).some((name) => /^authorization$/i.test(name)))
      return new ServerLogin({
        ...{ config, dial, secretFor, store: logins },
        clientName: client.name,
        probe: async () => (await import("./remote/probe.ts")).probe(config, secretFor, dial),
      });
    // One that it had as another server is nobody's.
    logins.remove(config.name);
    return undefined;
  }

  #requireLogin(name: string): ServerLogin {
    const { managed, record } = this.#find(name);
    if (managed.login !== undefined) return managed.login;
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      record.config.kind === "vm"
        ? `the server '${name}' runs in a VM, and has no login`
        : `the server '${name}' is authorized by a header of its own`,
      record.config.kind === "vm" ? {} : { hint: `Leave Authorization out of its headers in ${record.source}` },
    );
  }

  async #look(name: string, options: WorkOptions): Promise<void> {
    const forced = { ...options, isForced: true };
    await this.prepare(name, forced);
    await this.#offers.list(name, undefined, forced);
  }

  #hear(name: string, key: string | undefined, method: string, params: Record<string, unknown>): void {
    if (method === "notifications/message") this.calls(name, key).log(params);
    else if (method === "notifications/resources/updated" && typeof params.uri === "string") {
      const { uri } = params;
      this.#tell((listener) => listener.onResourceUpdated?.(name, uri, key));
    } else if (/^notifications\/(?:tools|prompts|resources)\/list_changed$/.test(method))
      this.#offers.relistSoon(name, key);
  }

  #tell(news: (listener: GatewayListener) => void): void {
    for (const listener of this.#listeners) news(listener);
  }

  #toServer(entry: Entry): Server {
    return toServer(entry, this.#options.machines.find(entry.record.config.name));
  }
}

function isResident(config: ServerConfig): boolean {
  return config.kind === "vm" && config.enabled && config.resident;
}
