import { digestOf } from "../contract/canonical-json.ts";
import type { VmServer } from "../contract/server.ts";
import type { Vm } from "../contract/vm.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { confine } from "./firejail.ts";
import { lockedVersion } from "./install/locked.ts";
import { planInstall } from "./install/plan.ts";
import { type InstalledFacts, installedFacts } from "./installed-facts.ts";
import { type InstanceHooks, startInstance } from "./instance.ts";
import { hasCopies, keyOf, type Launch, type Machines, mountsOf } from "./machine.ts";
import type { Update } from "./managed.ts";
import type { PinnedImage } from "./server-image.ts";
import type { InstalledState, ServerRecord, WarmState } from "./server-store.ts";
import { type Definitions, listDefinitions } from "./upstream/definitions.ts";
import type { ClientInfo } from "./upstream/session.ts";

export interface SavedServerDeps {
  machines: Machines;
  client: ClientInfo;
  /** Hears what it asks and tells while it is looked at for the first time. */
  hooks: Pick<InstanceHooks, "onRequest" | "onNotification" | "onLog">;
  /** Keeps what is known of the server. */
  save: (changes: Partial<Pick<ServerRecord, "installed" | "warm">>) => void;
  /** What the lock has of it. Throws SERVER_LOCK_INVALID. */
  locked: () => Promise<InstalledFacts | undefined>;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** In the place of the key of what is installed and is not what the lock has. */
const GIVEN_UP = "";

/** What there is of one server without any VM: its package as it is installed, what it offers, and itself as it was saved once it had started. */
export class SavedServer {
  readonly #config: VmServer;
  readonly #deps: SavedServerDeps;
  /** Of all that the configuration says of its VM. */
  readonly #configKey: string;
  #installed: InstalledState | undefined;
  #warm: WarmState | undefined;

  constructor(record: ServerRecord, deps: SavedServerDeps) {
    this.#config = record.config as VmServer;
    this.#installed = record.installed;
    this.#warm = record.warm as WarmState | undefined;
    this.#deps = deps;
    const { args, cwd, env, mounts, network, secrets, firejail } = this.#config;
    const more = firejail === undefined ? [] : [firejail];
    this.#configKey = keyOf(this.#installKey(), args, cwd, env, mounts, network, secrets, ...more);
  }

  /** As its configuration is now; undefined before its first start. */
  get warm(): WarmState | undefined {
    return this.#warm?.key.startsWith(`${this.#configKey}-`) === true ? this.#warm : undefined;
  }

  get installed(): InstalledState | undefined {
    return this.#installed;
  }

  /** Whether it is of what is installed now, with the secrets as they are now. */
  get isCurrent(): boolean {
    return this.#warm?.key === this.#warmKey();
  }

  /** What it says now that it offers. Returns whether that is something else than before. */
  redefine(definitions: Definitions): boolean {
    const { warm } = this;
    if (warm === undefined || digestOf(warm.definitions) === digestOf(definitions)) return false;
    this.#warm = { ...warm, definitions };
    this.#deps.save({ warm: this.#warm });
    return true;
  }

  /** What was saved, if that is there still and of what is installed now; `isAsLocked`: and that is what the lock has. */
  async find(isAsLocked = false): Promise<WarmState | undefined> {
    const { warm } = this;
    if (warm === undefined || !this.isCurrent) return undefined;
    if (isAsLocked && !(await this.#isAsLocked())) {
      // The next start installs it anew.
      if (this.#installed !== undefined) this.#installed = { ...this.#installed, key: GIVEN_UP };
      return undefined;
    }
    const isThere = warm.snapshot === undefined || (await this.#deps.machines.hasSnapshot(warm.snapshot));
    return isThere ? warm : undefined;
  }

  async #isAsLocked(): Promise<boolean> {
    const { command, image } = this.#config;
    const { packages = [], image: own } = this.#installed?.installed ?? {};
    const locked = await this.#deps.locked();
    if (image !== undefined && locked?.image === image && locked.imageDigest !== own?.digest) return false;
    const version = lockedVersion(planInstall(command), locked);
    return version === undefined || (packages[0]?.version === version && packages[0]?.digest === locked?.packageDigest);
  }

  /**
   * Installs it anew, and tells what that would change; unless it is a trial, it does: its next start is with the new packages. Throws
   * SERVER_INSTALL_FAILED.
   */
  async update(isTrial: boolean, options: WorkOptions): Promise<Update & { isDone: boolean }> {
    const { machines, hooks } = this.#deps;
    const { name: server, image: wanted, command } = this.#config;
    const { packages: before = [], image: old } = this.#installed?.installed ?? {};
    const change = (to: string) =>
      wanted === undefined || old?.digest === to ? undefined : { name: wanted, from: old?.digest, to };
    if (isTrial && wanted !== undefined && planInstall(command).kind === "none")
      return { before, after: [], image: change(await machines.images.lookUp(wanted, options)), isDone: false };
    const image = wanted === undefined ? undefined : await machines.images.getNewest(wanted, options);
    const { vm, installed } = await machines.build(this.#config, { ...options, image, onLog: hooks.onLog });
    try {
      const { packages: after } = installed;
      const update = { before, after, image: image && change(image.digest) };
      const isSame = update.image === undefined && digestOf(before) === digestOf(after);
      // Though the lock had something else: what was installed is what there is.
      if (isSame && !isTrial && this.#installed?.key === GIVEN_UP)
        this.#installed = { ...this.#installed, key: this.#installKey() };
      if (isTrial || isSame) return { ...update, isDone: false };
      const key = this.#installKey();
      const name = `mcp-${server}-installed-${key}-${keyOf(after, image).slice(0, 6)}`;
      const snapshot = after.length === 0 ? undefined : await machines.save(vm, name, options);
      await this.#keepInstalled({ key, installed, ...(snapshot === undefined ? {} : { snapshot }) });
      return { ...update, isDone: true };
    } finally {
      await machines.delete(vm.id);
    }
  }

  async #keepInstalled(state: InstalledState): Promise<void> {
    const old = this.#installed?.snapshot;
    this.#deps.save({ installed: state });
    this.#installed = state;
    if (old !== undefined && old !== state.snapshot) await this.#deps.machines.forgetSnapshot(old);
  }

  /** Installs, starts, lists and saves it. */
  async make(options: WorkOptions): Promise<WarmState> {
    const { machines, save } = this.#deps;
    const { name, network } = this.#config;
    machines.checkExposure(this.#config);
    const grants = machines.withoutExposed(this.#config);
    const isSaved = !machines.isExposed(this.#config) && !hasCopies(this.#config);
    const { vm, installed, warnings: told } = await this.installedVm(options);
    try {
      // Its environment and whom it trusts, then nothing that gets out until it has been looked at.
      await machines.setNetwork(vm, network, grants, { ...options, isClosed: true });
      await machines.copyIn(vm, this.#config, { ...options, isTrial: true });
      options.onProgress?.({ step: "start", message: `starting '${name}' for the first time` });
      const silent = {
        machines,
        client: this.#deps.client,
        hooks: { ...this.#deps.hooks, onClosed: () => {} },
      };
      const { launch, warnings: more } = await this.launchOf(vm, installed.argv, grants, options);
      const warnings = [...told, ...more];
      const instance = await startInstance(vm.id, launch, this.#config, silent, options);
      const definitions = await listDefinitions(instance.session, name);
      if (network.mode !== "none") await machines.vms.setPolicy(vm.id, network, grants);
      const { session, execId, offset, opening } = instance;
      const { terms } = session;
      session.close();
      const previous = this.#warm?.snapshot;
      if (isSaved) options.onProgress?.({ step: "save", message: `saving '${name}' as it is now` });
      const snapshot = isSaved ? await machines.save(vm, `mcp-${name}-${this.#configKey}`, options) : undefined;
      const warm: WarmState = {
        key: this.#warmKey(),
        ...(snapshot === undefined ? {} : { snapshot }),
        ...{ execId, offset, opening, terms, definitions },
        ...(warnings.length === 0 ? {} : { warnings }),
        at: new Date().toISOString(),
      };
      save({ warm });
      this.#warm = warm;
      if (previous !== undefined && previous !== snapshot) await machines.forgetSnapshot(previous);
      return warm;
    } finally {
      await machines.delete(vm.id);
    }
  }

  /** What runs in a VM, and what of its configuration does not hold there. */
  async launchOf(
    vm: Vm,
    installed: readonly string[],
    grants: Parameters<Machines["launchOf"]>[3],
    options: WorkOptions,
  ): Promise<{ launch: Launch; warnings: string[] }> {
    const { machines, hooks, log } = this.#deps;
    const { name } = this.#config;
    const launch = await machines.launchOf(this.#config, installed, vm.imageDigest, grants);
    const { argv, warning } = await confine(await machines.client(vm.id, options), this.#config, launch.argv, options);
    if (warning === undefined) return { launch: { ...launch, argv }, warnings: [] };
    log("a profile of Firejail is not applied", { server: name, warning });
    hooks.onLog(`[firebreak] ${warning}\n`);
    return { launch, warnings: [warning] };
  }

  /** A VM with the server's package in it, not started. What has not been installed here yet is what the lock has. */
  async installedVm(
    options: WorkOptions,
  ): Promise<{ vm: Vm; installed: InstalledState["installed"]; warnings: string[] }> {
    const { machines, hooks } = this.#deps;
    const key = this.#installKey();
    const known = this.#installed?.key === key ? this.#installed : undefined;
    if (known?.snapshot !== undefined && (await machines.hasSnapshot(known.snapshot)))
      return {
        vm: await machines.fork(known.snapshot, this.#config, {}, options),
        installed: known.installed,
        warnings: [],
      };
    const locked = known === undefined ? await this.#deps.locked() : installedFacts(known.installed);
    const image = await this.#imageOf(known, locked, options);
    const { vm, installed, warnings } = await machines.build(this.#config, {
      ...options,
      image,
      locked,
      onLog: hooks.onLog,
    });
    if (installed.packages.length === 0) {
      if (image !== undefined && digestOf(known?.installed ?? {}) !== digestOf(installed))
        await this.#keepInstalled({ key, installed });
      return { vm, installed, warnings };
    }
    try {
      const snapshot = await machines.save(vm, `mcp-${this.#config.name}-installed-${key}`, options);
      await this.#keepInstalled({ key, installed, snapshot });
      if (mountsOf(this.#config).length === 0) return { vm, installed, warnings };
    } catch (error) {
      await machines.delete(vm.id);
      throw error;
    }
    // What it was installed in has seen nothing of this host, and what it runs in sees its files from the start.
    await machines.delete(vm.id);
    return {
      vm: await machines.fork(this.#installed?.snapshot ?? "", this.#config, {}, options),
      installed,
      warnings,
    };
  }

  /** The image that its configuration names: the one that it has had, or that the lock has. */
  async #imageOf(
    known: InstalledState | undefined,
    locked: InstalledFacts | undefined,
    options: WorkOptions,
  ): Promise<PinnedImage | undefined> {
    const { image } = this.#config;
    if (image === undefined) return undefined;
    const digest = locked?.image === image ? locked.imageDigest : undefined;
    return this.#deps.machines.images.get(image, { known: known?.installed.image, digest }, options);
  }

  #installKey(): string {
    const { command, image, memoryMib, cpus, diskMib } = this.#config;
    return keyOf(command, image, memoryMib, cpus, diskMib);
  }

  /** Of the configuration, and of what the VM has of its secrets: a secret that is made anew has another placeholder. */
  #warmKey(): string {
    const { machines } = this.#deps;
    const values = machines.placeholdersOf(this.#config);
    return `${this.#configKey}-${keyOf(values, machines.isExposed(this.#config), this.#installed?.installed)}`;
  }

  /** Takes away what was saved. */
  async forget(): Promise<void> {
    for (const snapshot of [this.#warm?.snapshot, this.#installed?.snapshot])
      if (snapshot !== undefined) await this.#deps.machines.forgetSnapshot(snapshot);
  }
}
