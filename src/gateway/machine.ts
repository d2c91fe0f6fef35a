import { createHash, randomBytes } from "node:crypto";
import { canonicalJson } from "../contract/canonical-json.ts";
import type { ImageConfig } from "../contract/image.ts";
import type { VmMount } from "../contract/mount.ts";
import { type EgressPolicy, NO_NETWORK } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { VmServer } from "../contract/server.ts";
import { type Vm, vmCreateSchema } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { asSpan } from "../telemetry/tracing.ts";
import type { WorkOptions, WorkspaceHooks } from "../vms/ports.ts";
import type { VmService } from "../vms/service.ts";
import type { VmSnapshots } from "../vms/snapshots.ts";
import { expandSecrets, withoutSecret } from "./config/references.ts";
import { type Installed, install, type Registries } from "./install/install.ts";
import { checkLocked, planLocked } from "./install/locked.ts";
import { planInstall } from "./install/plan.ts";
import type { InstalledFacts } from "./installed-facts.ts";
import type { PinnedImage, ServerImages } from "./server-image.ts";

/** Labels by which a server's VMs are found again. */
export const SERVER_LABEL = "firebreak/server";
export const STATE_LABEL = "firebreak/server-state";
export const SESSION_LABEL = "firebreak/server-session";
/** When a session's VM was last used, as ISO 8601, so that the next daemon deletes it in time. */
export const USED_LABEL = "firebreak/server-used";

/** Directories of this host that VMs get copies of. Implemented by src/workspaces/. */
export interface Copies extends Pick<WorkspaceHooks, "resolve" | "push" | "pull"> {
  /** Ties directories to a VM: what it changes in them comes back before it ends. */
  declareCopies(vm: Pick<Vm, "id" | "name">, specs: readonly WorkspaceSpec[]): void;
}

/** Of a VM in which nothing of the server's runs yet, ms. */
const STOP_GRACE_MS = 3_000;

export interface MachineDeps {
  vms: VmService;
  copies: Copies;
  snapshots: VmSnapshots;
  registries: () => Registries;
  /** Names of those of the secrets whose values a VM gets. */
  exposed: (grants: readonly SecretGrant[]) => string[];
  /** What a VM has in its environment of secrets: placeholders, or values. */
  environmentOf: (grants: readonly SecretGrant[]) => Record<string, string>;
  images: ServerImages;
  /** What an image runs by itself, as whom and where, by its digest. */
  imageConfigOf: (imageDigest: string) => Promise<ImageConfig>;
  log: (message: string, fields: Record<string, unknown>) => void;
}

export interface BuildOptions extends WorkOptions {
  image?: PinnedImage | undefined;
  /** What it is to have been installed as. */
  locked?: InstalledFacts | undefined;
  /** Hears what the installer prints. */
  onLog?: (text: string) => void;
}

/** A command as it is started. */
export interface Launch {
  argv: string[];
  env: Record<string, string>;
  cwd?: string;
  user?: string;
}

/** VMs as MCP servers need them: made, saved and brought back. */
export class Machines {
  readonly #deps: MachineDeps;

  constructor(deps: MachineDeps) {
    this.#deps = deps;
  }

  get vms(): VmService {
    return this.#deps.vms;
  }

  /** Whether a server gets values of secrets, which no snapshot is to hold. */
  isExposed(config: VmServer): boolean {
    return this.#deps.exposed(grantsOf(config)).length > 0;
  }

  /** What a VM has in its environment of those secrets whose values it does not get. */
  placeholdersOf(config: VmServer): Record<string, string> {
    return this.#deps.environmentOf(this.withoutExposed(config));
  }

  /** The grants without those whose values would be in the VM. */
  withoutExposed(config: VmServer): SecretGrant[] {
    const grants = grantsOf(config);
    const exposed = new Set(this.#deps.exposed(grants));
    return grants.filter(({ name }) => !exposed.has(name));
  }

  /** Throws SECRET_INVALID when the configuration wants a secret in another way than the vault has it. */
  checkExposure({ name: server, secrets }: VmServer): void {
    for (const { name, expose } of secrets) {
      if (expose === undefined) continue;
      const isExposed = this.#deps.exposed([{ name }]).length > 0;
      if (isExposed === (expose === "env")) continue;
      throw new FirebreakError(
        "SECRET_INVALID",
        `the server '${server}' wants the secret ${name} as '${expose}', and the vault has it as '${isExposed ? "env" : "proxy"}'`,
        {
          hint: `Change one of them: firebreak secret set ${name} --expose ${expose}`,
        },
      );
    }
  }

  /** What runs in a server's VM: `${secret:NAME}` is what the VM has of that secret. */
  async launchOf(
    config: VmServer,
    installed: readonly string[],
    imageDigest: string,
    grants: readonly SecretGrant[],
  ): Promise<Launch> {
    const values = this.#deps.environmentOf(grants);
    // A first start is without the values that it gets later, and has something of their form.
    const missing = grantsOf(config).filter(({ name }) => values[name] === undefined);
    const later = missing.length === 0 ? {} : this.#deps.environmentOf(missing);
    const expand = (text: string) => expandSecrets(text, (name) => values[name] ?? withoutSecret(name, later[name]));
    const image = await this.#deps.imageConfigOf(imageDigest);
    // As containers have it: arguments come in the place of the image's own.
    const own =
      installed.length > 0 ? installed : [...image.entrypoint, ...(config.args.length > 0 ? config.args : image.cmd)];
    const cwd = config.cwd ?? image.workingDir;
    const env = Object.entries(config.env).map(([name, value]) => [name, expand(value)]);
    return {
      argv: own.map(expand),
      env: Object.fromEntries(env),
      ...(cwd === undefined ? {} : { cwd }),
      ...(image.user === undefined ? {} : { user: image.user }),
    };
  }

  get images(): ServerImages {
    return this.#deps.images;
  }

  /** A VM that has the server's package and no network, of that image where it names one. Throws SERVER_LOCK_UNMET. */
  async build(
    config: VmServer,
    { image, locked, onLog, ...options }: BuildOptions,
  ): Promise<{ vm: Vm; installed: Installed; warnings: string[] }> {
    const { vms, registries } = this.#deps;
    const asked = planInstall(config.command);
    const plan = planLocked(asked, locked);
    const network: EgressPolicy =
      plan.kind === "none" ? NO_NETWORK : { mode: "allowlist", allow: ["registries", ...gitHosts(plan.spec)] };
    const { memoryMib, cpus, diskMib } = config;
    const wanted = vmCreateSchema.parse({
      name: vmName(config.name, true),
      memoryMib,
      cpus,
      diskMib,
      network,
      labels: { ...config.labels, [SERVER_LABEL]: config.name },
      ...(image === undefined ? {} : { image: image.imageDigest }),
      // While somebody's package is being installed, nothing of this host is there.
      mounts: plan.kind === "none" ? mountsOf(config) : [],
    });
    const vm = await vms.create(wanted, options);
    try {
      const facts = { "firebreak.server.name": config.name, "firebreak.vm.id": vm.id };
      const installed = await asSpan("firebreak.server.install", facts, () =>
        vms.use(vm.id, options, ({ client }) =>
          install(plan, {
            ...options,
            onLog,
            server: config.name,
            client,
            registries: registries(),
            explainLoss: () => vms.explainLoss(vm.id),
          }),
        ),
      );
      const warnings = checkLocked(config.name, asked, installed, locked);
      if (network.mode !== "none") await vms.setPolicy(vm.id, NO_NETWORK);
      return { vm, installed: image === undefined ? installed : { ...installed, image }, warnings };
    } catch (error) {
      await this.delete(vm.id);
      throw error;
    }
  }

  /**
   * Gives a VM its server's network and secrets, and with `isClosed` nothing yet of what gets out. A network card comes with a start: a VM that gets one is
   * stopped and started, with what is on its disk.
   */
  async setNetwork(
    { id }: Vm,
    policy: EgressPolicy,
    grants: SecretGrant[],
    { isClosed = false, ...options }: WorkOptions & { isClosed?: boolean },
  ): Promise<void> {
    const { vms } = this.#deps;
    const getsCard = (vms.get(id).network.mode === "nat") !== (policy.mode === "nat");
    if (getsCard) await vms.stop(id, STOP_GRACE_MS, options);
    await vms.setPolicy(id, policy, grants);
    if (isClosed && policy.mode !== "none") await vms.setPolicy(id, closed(policy));
    if (getsCard) await vms.start(id, options);
  }

  async save(vm: Vm, name: string, options: WorkOptions): Promise<string> {
    await this.forgetSnapshot(name);
    return asSpan("firebreak.vm.save", { "firebreak.vm.id": vm.id }, async () => {
      return (await this.#deps.snapshots.create(vm.id, name, options)).id;
    });
  }

  async fork(snapshot: string, config: VmServer, labels: Record<string, string>, options: WorkOptions): Promise<Vm> {
    const { vms, snapshots } = this.#deps;
    const isShared = labels[SESSION_LABEL] === undefined;
    const vm = await snapshots.fork(
      snapshot,
      { name: vmName(config.name, !isShared || this.#isTaken(config.name)), mounts: mountsOf(config) },
      options,
    );
    return vms.update(vm.id, { labels: { ...config.labels, [SERVER_LABEL]: config.name, ...labels } });
  }

  /** A VM's live client; a suspended VM is brought back for it. */
  async client(vm: string, options: WorkOptions): Promise<GuestClient> {
    return this.#deps.vms.use(vm, options, async ({ client }) => client);
  }

  /** Those of a server's VMs that are there, of whatever state. */
  find(server: string): Vm[] {
    return this.#deps.vms.list().filter(({ labels }) => labels[SERVER_LABEL] === server);
  }

  /**
   * Copies into a VM what its server sees as copies: all of it the first time, and then what has changed on this host. Of a trial nothing comes back.
   * Throws HOST_PATH_NOT_FOUND, WORKSPACE_DIRECTORY_REFUSED.
   */
  async copyIn(vm: Vm, config: VmServer, options: WorkOptions & { isTrial?: boolean }): Promise<void> {
    const { copies, vms } = this.#deps;
    const mounts = config.mounts.filter(({ mode }) => mode === "copy");
    if (mounts.length === 0) return;
    const specs = await Promise.all(
      mounts.map(async ({ path, at, access }) => ({
        directory: await copies.resolve(path),
        guestPath: at,
        readOnly: access === "ro" || options.isTrial === true,
      })),
    );
    copies.declareCopies(vm, specs);
    await vms.use(vm.id, options, ({ client }) => copies.push(vm, client, options));
  }

  /** Brings back what a server has changed in its copies, while its VM goes on. Throws WORKSPACE_NOT_SYNCED. */
  async copyBack(vm: string): Promise<void> {
    const { copies, vms } = this.#deps;
    await vms.use(vm, {}, ({ client }) =>
      copies.pull(vms.get(vm), client, { isRequired: true, isEphemeral: true, isFinal: false }),
    );
  }

  /**
   * Never throws: what stays is told in the log, found by its label, and its reason given back. What a VM that does not run has not given back of its
   * copies is got from it first.
   */
  async delete(vm: string): Promise<FirebreakError | undefined> {
    const { vms, log } = this.#deps;
    try {
      await vms.delete(vm).catch(async (thrown: unknown) => {
        const { state } = vms.get(vm);
        if (toFirebreakError(thrown).code !== "WORKSPACE_NOT_SYNCED" || state === "running") throw thrown;
        await vms.start(vm);
        await vms.delete(vm);
      });
      return undefined;
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      if (error.code === "VM_NOT_FOUND") return undefined;
      log("a server's VM could not be deleted", { vm, error: error.message });
      return error;
    }
  }

  async forgetSnapshot(nameOrId: string): Promise<void> {
    await this.#deps.snapshots.delete(nameOrId).catch((thrown: unknown) => {
      const error = toFirebreakError(thrown);
      if (error.code !== "SNAPSHOT_NOT_FOUND")
        this.#deps.log("a server's snapshot could not be deleted", { snapshot: nameOrId, error: error.message });
    });
  }

  async hasSnapshot(id: string): Promise<boolean> {
    return this.#deps.snapshots.get(id).then(
      () => true,
      (error: unknown) => {
        if (error instanceof FirebreakError && error.code === "SNAPSHOT_NOT_FOUND") return false;
        throw error;
      },
    );
  }

  #isTaken(server: string): boolean {
    const name = vmName(server, false);
    return this.#deps.vms.list().some((vm) => vm.name === name);
  }
}

function vmName(server: string, isOneOfMany: boolean): string {
  return isOneOfMany ? `mcp-${server}-${randomBytes(3).toString("hex")}` : `mcp-${server}`;
}

/** Of a package that npm or uv gets from a repository. */
function gitHosts(spec: string): string[] {
  if (/^(?:github:|[\w.-]+\/[\w.-]+(?:#|$))/.test(spec) && !spec.startsWith("@"))
    return ["github.com", "codeload.github.com"];
  const url = /(?:git\+)?(?:https|ssh):\/\/(?:[^@/]+@)?([^/:#]+)/.exec(spec)?.[1];
  return url === undefined ? [] : [url];
}

/** Of what a saved machine is made of; the number is raised when what is made of the same values changes. */
export function keyOf(...values: unknown[]): string {
  return createHash("sha256")
    .update(canonicalJson([1, ...values]))
    .digest("hex")
    .slice(0, 16);
}

/** A policy that lets nothing out, of the same kind of network. */
export function closed(policy: EgressPolicy): EgressPolicy {
  return policy.mode === "nat" ? { mode: "nat", allow: [] } : NO_NETWORK;
}

/** A server's secrets as its VM is granted them. */
export function grantsOf({ secrets }: VmServer): SecretGrant[] {
  return secrets.map(({ expose: _expose, ...grant }) => grant);
}

/** Whether a server works on copies of this host's directories, which no snapshot is to hold. */
export function hasCopies({ mounts }: VmServer): boolean {
  return mounts.some(({ mode }) => mode === "copy");
}

/** What a server sees live. */
export function mountsOf({ mounts }: VmServer): VmMount[] {
  const live = mounts.filter(({ mode }) => mode === "live");
  return live.map(({ path: hostPath, at: guestPath, access }) => ({ hostPath, guestPath, access }));
}
