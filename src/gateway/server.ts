import type { VmServer } from "../contract/server.ts";
import type { Vm } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { Mutex } from "../vms/mutex.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { SharedAttempt } from "../vms/shared-attempt.ts";
import type { InstalledFacts } from "./installed-facts.ts";
import { attachInstance, type Instance, type InstanceHooks, startInstance } from "./instance.ts";
import { grantsOf, hasCopies, type Machines, SESSION_LABEL, STATE_LABEL, USED_LABEL } from "./machine.ts";
import type { Managed, PrepareOptions, StartFailure, Update } from "./managed.ts";
import { SavedServer } from "./saved-server.ts";
import type { InstalledState, ServerRecord, WarmState } from "./server-store.ts";
import { StartBackoff } from "./start-backoff.ts";
import type { Definitions } from "./upstream/definitions.ts";
import { listenForLists } from "./upstream/list-news.ts";
import type { ClientInfo } from "./upstream/session.ts";

/** Ends in a row after which a server is not started again at once, and how long not. */
const MAX_ENDS = 5;
const ENDS_WINDOW_MS = 60_000;

/** Hears what an instance asks and tells; `key` is the session that it is of, undefined for the shared one. */
export interface ServerHooks {
  onRequest: (
    key: string | undefined,
    ...request: Parameters<InstanceHooks["onRequest"]>
  ) => ReturnType<InstanceHooks["onRequest"]>;
  onNotification: (key: string | undefined, ...note: Parameters<InstanceHooks["onNotification"]>) => void;
  onLog: (text: string) => void;
}

export interface ManagedServerDeps {
  machines: Machines;
  client: ClientInfo;
  hooks: ServerHooks;
  /** Keeps what is known of the server. */
  save: (changes: Partial<Pick<ServerRecord, "installed" | "warm">>) => void;
  /** Whether a client's session is known to be over: who ended it, or let it expire, did so in another daemon's time. */
  isSessionOver: (key: string) => boolean;
  /** What the lock has of it. Throws SERVER_LOCK_INVALID. */
  locked: () => Promise<InstalledFacts | undefined>;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** For tests. */
  nowMs?: () => number;
}

interface Slot {
  instance: Instance | undefined;
  uses: number;
  idle: NodeJS.Timeout | undefined;
  /** Of a session's: when its VM is deleted, since nobody has called for too long. */
  expiry?: NodeJS.Timeout;
  usedMs: number;
  /** The session has ended while a call was under way. */
  isOver?: boolean;
  lock: Mutex;
  /** The VM whose server has been asked to tell of its lists; it goes on with that when it is suspended and brought back. */
  tellingVm?: string;
}

/** One server with VMs of its own: installed once, started once, and from then on brought back from where it was saved. */
export class ManagedServer implements Managed {
  readonly config: VmServer;
  readonly #deps: ManagedServerDeps;
  readonly #slots = new Map<string | undefined, Slot>();
  readonly #preparing = new Mutex();
  readonly #attempts = new SharedAttempt<WarmState>();
  readonly #backoff: StartBackoff;
  readonly #ending = new AbortController();
  readonly #saved: SavedServer;
  #ends: number[] = [];

  constructor(record: ServerRecord, deps: ManagedServerDeps) {
    this.config = record.config as VmServer;
    this.#deps = deps;
    this.#backoff = new StartBackoff(this.config.name, deps.nowMs);
    this.#saved = new SavedServer(record, { ...deps, hooks: this.#hooksOf(undefined) });
  }

  get definitions(): Definitions | undefined {
    return this.warm?.definitions;
  }

  get warm(): WarmState | undefined {
    return this.#saved.warm;
  }

  get installed(): InstalledState | undefined {
    return this.#saved.installed;
  }

  get failure(): StartFailure | undefined {
    return this.#backoff.last;
  }

  redefine(definitions: Definitions): boolean {
    return this.#saved.redefine(definitions);
  }

  get isUp(): boolean {
    return this.runningVms.length > 0;
  }

  get isReady(): boolean {
    return this.isUp && this.#saved.isCurrent;
  }

  get runningVms(): string[] {
    return [...this.#slots.values()].flatMap(({ instance }) => (instance === undefined ? [] : [instance.vm]));
  }

  /**
   * Installs, starts, lists and saves it, if that has not been done for what its configuration says now. All who want that at once share one attempt. One that
   * has failed is what others are answered with for a while, unless they insist.
   */
  async prepare({ isForced = false, isAsLocked = false, ...options }: PrepareOptions = {}): Promise<WarmState> {
    if (!isForced && !this.#attempts.isUnderWay && this.warm === undefined) this.#backoff.require();
    return this.#attempts.join(options, ({ onProgress, signal = this.#ending.signal }) => {
      const own = { signal: AbortSignal.any([signal, this.#ending.signal]), ...(onProgress && { onProgress }) };
      return this.#preparing.run(async () => {
        const known = await this.#saved.find(isAsLocked);
        return known ?? this.#noting(own.signal, () => this.#saved.make(own));
      });
    });
  }

  async update(isTrial: boolean, options: WorkOptions = {}): Promise<Update> {
    return this.#preparing.run(async () => {
      const { isDone, ...update } = await this.#saved.update(isTrial, options);
      if (isDone) await this.stop();
      return update;
    });
  }

  /** Lends a session with the server, which is started for it if need be. `key` is the client's session where each has its own VM. */
  async use<T>(key: string | undefined, options: PrepareOptions, work: (instance: Instance) => Promise<T>): Promise<T> {
    const slot = this.#slot(key);
    slot.uses++;
    clearTimers(slot);
    try {
      return await work(await this.#ensure(slot, key, options));
    } finally {
      slot.uses--;
      slot.usedMs = Date.now();
      if (slot.uses === 0 && slot.isOver) void this.#deleteVmsOf(slot, key);
      else if (slot.uses === 0) this.#watchIdle(slot, key);
    }
  }

  /** What an earlier daemon has left running stops for being idle, too; what it was still making goes, and what is of sessions that are over. */
  async watchFound(): Promise<void> {
    const { machines, isSessionOver } = this.#deps;
    for (const { id, state, labels } of machines.find(this.config.name)) {
      const key = labels[SESSION_LABEL];
      if (labels[STATE_LABEL] === undefined || (key !== undefined && isSessionOver(key))) {
        await machines.delete(id);
        continue;
      }
      const slot = this.#slot(key);
      if (slot.uses > 0) continue;
      const usedMs = Date.parse(labels[USED_LABEL] ?? "");
      if (state !== "running" && !Number.isNaN(usedMs)) slot.usedMs = usedMs;
      this.#watchExpiry(slot, key);
      if (state === "running" && !this.config.resident) this.#setIdleTimer(slot, () => this.#setAside(slot, key, id));
    }
  }

  /** A client's session is over: its VM goes. */
  async endSession(key: string): Promise<void> {
    const slot = this.#slots.get(key);
    this.#slots.delete(key);
    if (slot !== undefined) {
      clearTimers(slot);
      // A VM that is just being made for it goes with the call that it is made for.
      slot.isOver = true;
    }
    await this.#deleteVmsOf(slot, key);
  }

  async #deleteVmsOf(slot: Slot | undefined, key: string | undefined): Promise<void> {
    slot?.instance?.session.close();
    const { machines } = this.#deps;
    await Promise.all(
      machines
        .find(this.config.name)
        .filter(({ labels }) => labels[SESSION_LABEL] === key)
        .map(({ id }) => machines.delete(id)),
    );
  }

  /** Ends its VMs; what it was saved as stays. Throws why one of them stays, too: WORKSPACE_NOT_SYNCED. */
  async stop(): Promise<void> {
    this.#letGo();
    const { machines } = this.#deps;
    const failures = await Promise.all(machines.find(this.config.name).map(({ id }) => machines.delete(id)));
    const failure = failures.find((error) => error !== undefined);
    if (failure !== undefined) throw failure;
  }

  /** Lets go of its VMs, which go on without this daemon. */
  close(): void {
    this.#ending.abort();
    this.#letGo();
  }

  /** Takes away all that there is of it. */
  async remove(): Promise<void> {
    this.#ending.abort();
    // A VM that stays has been told of in the log, and is tried again by the next daemon.
    await this.stop().catch(() => {});
    await this.#saved.forget();
  }

  #letGo(): void {
    for (const slot of this.#slots.values()) {
      clearTimers(slot);
      slot.instance?.session.close();
      slot.instance = undefined;
    }
    this.#slots.clear();
  }

  #slot(key: string | undefined): Slot {
    const existing = this.#slots.get(key);
    if (existing !== undefined) return existing;
    const slot: Slot = { instance: undefined, uses: 0, idle: undefined, usedMs: Date.now(), lock: new Mutex() };
    this.#slots.set(key, slot);
    return slot;
  }

  async #ensure(slot: Slot, key: string | undefined, options: PrepareOptions): Promise<Instance> {
    const found = slot.instance;
    if (found !== undefined && !found.session.isClosed) return found;
    // Whoever gives up does not take the server from the others who wait for it.
    return slot.lock.run(async () => {
      if (slot.instance !== undefined && !slot.instance.session.isClosed) return slot.instance;
      const { isForced = false } = options;
      if (isForced) this.#ends = [];
      this.#requireNotFailing();
      const own = { ...options, signal: this.#ending.signal };
      const warm = await this.prepare(own);
      slot.instance =
        (await this.#adopt(warm, key, slot, own)) ?? (await this.#startUnlessFailing(warm, key, slot, own));
      if (slot.tellingVm !== slot.instance.vm) listenForLists(slot.instance.session);
      slot.tellingVm = slot.instance.vm;
      return slot.instance;
    });
  }

  #startUnlessFailing(
    warm: WarmState,
    key: string | undefined,
    slot: Slot,
    { isForced = false, ...options }: PrepareOptions,
  ): Promise<Instance> {
    if (!isForced) this.#backoff.require();
    return this.#noting(this.#ending.signal, () => this.#start(warm, key, slot, options));
  }

  /** What a start comes to is remembered, unless it has been given up. */
  async #noting<T>(signal: AbortSignal, start: () => Promise<T>): Promise<T> {
    try {
      const started = await start();
      this.#backoff.noteSuccess();
      return started;
    } catch (thrown) {
      if (!signal.aborted) this.#backoff.noteFailure(thrown);
      throw thrown;
    }
  }

  /** Goes on with a VM of this state that is there already. */
  async #adopt(
    warm: WarmState,
    key: string | undefined,
    slot: Slot,
    options: WorkOptions,
  ): Promise<Instance | undefined> {
    const { machines } = this.#deps;
    const own = machines.find(this.config.name).filter(({ labels }) => labels[SESSION_LABEL] === key);
    for (const vm of own) {
      if (vm.labels[STATE_LABEL]?.startsWith(`${warm.key}.`) && (vm.state === "running" || vm.state === "suspended")) {
        const execId = vm.labels[STATE_LABEL].slice(warm.key.length + 1);
        const instance = await this.#goOn(vm, { ...warm, execId }, key, slot, options).catch((thrown: unknown) => {
          this.#deps.log("a server's VM is of no use any more", {
            server: this.config.name,
            vm: vm.name,
            error: toFirebreakError(thrown).message,
          });
          return undefined;
        });
        if (instance !== undefined) return instance;
      }
      await machines.delete(vm.id);
    }
    return undefined;
  }

  async #goOn(
    vm: Vm,
    { opening, terms, execId }: WarmState,
    key: string | undefined,
    slot: Slot,
    options: WorkOptions,
  ): Promise<Instance> {
    // While it was set aside, this host went on.
    if (vm.state === "suspended") await this.#deps.machines.copyIn(vm, this.config, options);
    return attachInstance(vm.id, { opening, terms, execId }, this.config, this.#instanceDeps(key, slot), options);
  }

  async #start(warm: WarmState, key: string | undefined, slot: Slot, options: WorkOptions): Promise<Instance> {
    const { machines } = this.#deps;
    const labels = { ...(key === undefined ? {} : { [SESSION_LABEL]: key }) };
    const deps = this.#instanceDeps(key, slot);
    if (warm.snapshot !== undefined) {
      const state = { [STATE_LABEL]: `${warm.key}.${warm.execId}` };
      const vm = await machines.fork(warm.snapshot, this.config, { ...labels, ...state }, options);
      return attachInstance(vm.id, warm, this.config, deps, options).catch(async (error: unknown) => {
        await machines.delete(vm.id);
        throw error;
      });
    }
    const { vm, installed } = await this.#saved.installedVm(options);
    try {
      const grants = grantsOf(this.config);
      await machines.setNetwork(vm, this.config.network, grants, options);
      await machines.copyIn(vm, this.config, options);
      const { launch } = await this.#saved.launchOf(vm, installed.argv, grants, options);
      const instance = await startInstance(vm.id, launch, this.config, deps, {
        ...options,
        opening: warm.opening,
      });
      machines.vms.update(vm.id, {
        labels: { ...vm.labels, ...labels, [STATE_LABEL]: `${warm.key}.${instance.execId}` },
      });
      return instance;
    } catch (error) {
      await machines.delete(vm.id);
      throw error;
    }
  }

  #instanceDeps(key: string | undefined, slot: Slot) {
    const { machines, client } = this.#deps;
    const onClosed = (error: FirebreakError) => {
      if (error.code !== "OPERATION_CANCELED") this.#hasEnded(slot, error);
    };
    return { machines, client, hooks: { ...this.#hooksOf(key), onClosed } };
  }

  #hooksOf(key: string | undefined) {
    const { hooks } = this.#deps;
    return {
      onRequest: (...request: Parameters<InstanceHooks["onRequest"]>) => hooks.onRequest(key, ...request),
      onNotification: (...note: Parameters<InstanceHooks["onNotification"]>) => hooks.onNotification(key, ...note),
      onLog: hooks.onLog,
    };
  }

  #hasEnded(slot: Slot, error: FirebreakError): void {
    const { instance } = slot;
    if (instance === undefined) return;
    slot.instance = undefined;
    clearTimers(slot);
    this.#ends = [...this.#ends.filter((at) => Date.now() - at < ENDS_WINDOW_MS), Date.now()];
    this.#deps.log("a server has ended", { server: this.config.name, error: error.message });
    // What is left of it is of no use: the next call begins with what was saved.
    void this.#deps.machines.delete(instance.vm);
  }

  #requireNotFailing(): void {
    this.#ends = this.#ends.filter((at) => Date.now() - at < ENDS_WINDOW_MS);
    if (this.#ends.length < MAX_ENDS) return;
    throw new FirebreakError(
      "SERVER_FAILED",
      `the server '${this.config.name}' has ended ${this.#ends.length} times within a minute`,
      {
        hint: `It is started again in a while; its output is in: firebreak server logs ${this.config.name}`,
        details: { server: this.config.name },
      },
    );
  }

  #watchIdle(slot: Slot, key: string | undefined): void {
    clearTimeout(slot.idle);
    if (this.config.resident || slot.instance === undefined) return;
    const { vm } = slot.instance;
    this.#setIdleTimer(slot, () => this.#setAside(slot, key, vm));
    this.#watchExpiry(slot, key);
  }

  /** A client that has gone without a word leaves its session behind, and with that its VM. */
  #watchExpiry(slot: Slot, key: string | undefined): void {
    clearTimeout(slot.expiry);
    if (key === undefined) return;
    const waitMs = Math.max(0, slot.usedMs + this.config.sessionTimeoutMs - Date.now());
    slot.expiry = setTimeout(() => void this.#expire(slot, key), waitMs);
    slot.expiry.unref();
  }

  async #expire(slot: Slot, key: string): Promise<void> {
    await slot.lock.run(async () => {
      if (slot.uses > 0 || slot.isOver) return;
      if (this.#slots.get(key) === slot) this.#slots.delete(key);
      clearTimers(slot);
      await this.#deleteVmsOf(slot, key);
      this.#deps.log("a session's VM has gone, since nobody has called for long", { server: this.config.name, key });
    });
  }

  #setIdleTimer(slot: Slot, work: () => Promise<void>): void {
    clearTimeout(slot.idle);
    slot.idle = setTimeout(() => void work(), this.config.idleTimeoutMs);
    slot.idle.unref();
  }

  /** Saves an idle server's VM and ends its VMM; one that may not be saved is ended. */
  async #setAside(slot: Slot, key: string | undefined, vm: string): Promise<void> {
    await slot.lock.run(async () => {
      const { instance } = slot;
      if (slot.uses > 0 || (instance !== undefined && instance.vm !== vm)) return;
      const { machines, log } = this.#deps;
      slot.instance = undefined;
      instance?.session.close();
      try {
        if (machines.isExposed(this.config)) await machines.delete(vm);
        else {
          if (key !== undefined) this.#noteUse(vm, slot.usedMs);
          if (hasCopies(this.config)) await machines.copyBack(vm);
          await machines.vms.suspend(vm);
        }
      } catch (thrown) {
        log("an idle server's VM could not be suspended", {
          server: this.config.name,
          key,
          error: toFirebreakError(thrown).message,
        });
        await machines.delete(vm);
      }
    });
  }

  #noteUse(id: string, usedMs: number): void {
    const { machines } = this.#deps;
    const vm = machines.find(this.config.name).find((each) => each.id === id);
    if (vm !== undefined)
      machines.vms.update(id, { labels: { ...vm.labels, [USED_LABEL]: new Date(usedMs).toISOString() } });
  }
}

function clearTimers({ idle, expiry }: Slot): void {
  clearTimeout(idle);
  clearTimeout(expiry);
}
