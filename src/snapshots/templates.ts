import { createHash } from "node:crypto";
import { utimes } from "node:fs/promises";
import path from "node:path";
import { NO_NETWORK } from "../contract/policy.ts";
import type { Template } from "../contract/snapshot.ts";
import type { Progress } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { GuestClient } from "../guest/client.ts";
import { GuestConnection } from "../guest/connection.ts";
import { orGiveUp } from "../platform/abort.ts";
import { addConsoleWords } from "../platform/console-words.ts";
import type { AccelName, MachineConfig, VmmConfig, VmmRecord } from "../vmm/driver.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import { findHostConflict, type HostTraits, type Manifest } from "./manifest.ts";
import type { Disk } from "./ports.ts";
import type { Saved, SavedFolder, Staged } from "./saved-folder.ts";
import { warmUp } from "./warm-up.ts";

/** A boot under TCG takes 2 s on a quiet machine, and 30 s on one with much else to do; one that has not ended by then hangs. */
const BOOT_DEADLINE_MS = 60_000;
/** Booting under TCG can hang in the guest kernel's clock calibration: it is tried once more. */
const BOOT_ATTEMPTS = 2;
/** A file system grows online but does not shrink: a VM is forked from the largest of these that fits its disk. */
const BASE_DISKS_MIB = [2048, 512, 64];
/** To be raised when something changes that is not among a template's inputs: the warm-up, the driver's kernel parameters. */
const RECIPE = 4;
/** Of a template's console, for the reason of a boot that failed. */
const CONSOLE_KEPT = 16 * 1024;
const PANIC_WORDS = "Kernel panic - not syncing";
/** What a panicking kernel gets for its last lines before its VMM is ended. */
const PANIC_GRACE_MS = 400;
/** More than this many are not kept, the ones unused for longest go first: each takes some 100 MiB. */
const MAX_TEMPLATES = 16;

export interface TemplateSpec {
  image: { name: string; digest: string; rootfsPath: string };
  kernel: { kernelId: string; kernelPath: string; initrdPath: string; kernelArgs?: string[] };
  memoryMib: number;
  cpus: number;
  driver: string;
  accel: AccelName;
  /** Of the VM to be forked. */
  diskMib: number;
}

export interface TemplatesOptions {
  folder: SavedFolder;
  drivers: VmmDrivers;
  disk: Disk;
  /** For the sockets and logs of template VMs. */
  runtimeDir: string;
  uid: number;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** What a template like an existing one would be made of today; undefined when that is not possible any more. */
export type SpecOf = (manifest: Manifest) => Promise<TemplateSpec | undefined>;

interface WorkOptions {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** The snapshots that VMs are forked from: one per kind of VM, taken when its guest agent was ready, made on first use. */
export class Templates {
  readonly #options: TemplatesOptions;
  readonly #making = new Map<string, { made: Promise<Saved>; followers: Set<(progress: Progress) => void> }>();
  /** Templates that this daemon has looked at already. */
  readonly #known = new Map<string, Saved>();

  constructor(options: TemplatesOptions) {
    this.#options = options;
  }

  /** VMs under construction, by the names of their runtime folders. */
  building(): string[] {
    return [...this.#making.keys()].map(runtimeName);
  }

  /** The template for a VM; made when there is none, by one of those who ask at a time. Cancelling a wait does not end the making. */
  async ensure(spec: TemplateSpec, options: WorkOptions = {}): Promise<Saved> {
    const host = await this.#options.drivers.of(spec).describeHost(spec.accel);
    const id = templateId(spec, host);
    const known = this.#known.get(id) ?? (await this.#find(id, host));
    if (known !== undefined) {
      this.#known.set(id, known);
      return known;
    }
    const follower = options.onProgress;
    let making = this.#making.get(id);
    if (making === undefined) {
      const followers = new Set<(progress: Progress) => void>(follower === undefined ? [] : [follower]);
      const onProgress = (progress: Progress) => {
        for (const follower of followers) follower(progress);
      };
      const made = this.#make(id, spec, host, onProgress).finally(() => this.#making.delete(id));
      made.catch(() => {}); // heard by whoever still waits
      making = { made, followers };
      this.#making.set(id, making);
    }
    if (follower !== undefined) making.followers.add(follower);
    try {
      return await orGiveUp(making.made, options.signal);
    } finally {
      if (follower !== undefined) making.followers.delete(follower);
    }
  }

  /** A template whose files turn out not to be what they were is made anew by the next who needs it. */
  async drop(saved: Saved): Promise<void> {
    this.#known.delete(saved.manifest.id);
    this.#options.drivers.release(saved.manifest.memory.sha256);
    await this.#options.folder.delete(saved.manifest.id);
  }

  async list(specOf: SpecOf): Promise<Template[]> {
    const all = await this.#options.folder.list((id, error) =>
      this.#options.log("a template is corrupt", { id, error: error.message }),
    );
    return Promise.all(all.map(async (saved) => toTemplate(saved, await this.#isStale(saved.manifest, specOf))));
  }

  /** Throws TEMPLATE_NOT_FOUND, SNAPSHOT_CORRUPT. */
  async get(id: string, specOf: SpecOf): Promise<Template> {
    const saved = /^[0-9a-f]{12,64}$/.test(id) ? await this.#options.folder.get(id) : undefined;
    if (saved === undefined) throw notFound(id);
    return toTemplate(saved, await this.#isStale(saved.manifest, specOf));
  }

  /** Deletes those that no VM is forked from any more, or all. VMs that run do not depend on them. */
  async prune(isAll: boolean, specOf: SpecOf): Promise<Template[]> {
    const pruned = (await this.list(specOf)).filter((template) => isAll || template.isStale);
    for (const { id } of pruned) await this.delete(id);
    return pruned;
  }

  async #isStale(manifest: Manifest, specOf: SpecOf): Promise<boolean> {
    const spec = await specOf(manifest);
    if (spec === undefined) return true;
    const host = await this.#options.drivers.of(spec).describeHost(spec.accel);
    return templateId(spec, host) !== manifest.id || findHostConflict(manifest.host, host) !== undefined;
  }

  /** Throws TEMPLATE_NOT_FOUND. */
  async delete(id: string): Promise<void> {
    if (!/^[0-9a-f]{12,64}$/.test(id)) throw notFound(id);
    const saved = await this.#options.folder.get(id).catch(() => "corrupt" as const);
    if (saved === undefined) throw notFound(id);
    if (saved !== "corrupt") return this.drop(saved);
    this.#known.delete(id);
    await this.#options.folder.delete(id);
  }

  async #find(id: string, host: HostTraits): Promise<Saved | undefined> {
    const { folder, log } = this.#options;
    try {
      const saved = await folder.get(id);
      if (saved === undefined) return undefined;
      const conflict = findHostConflict(saved.manifest.host, host);
      if (conflict !== undefined) {
        log("a template is of another host", { id, conflict });
        return undefined;
      }
      await folder.verifyOverlay(saved);
      const now = new Date();
      await utimes(saved.folder, now, now).catch(() => {}); // tells when it was last of use
      return saved;
    } catch (error) {
      log("a template is made anew", { id, error: toFirebreakError(error).message });
      return undefined;
    }
  }

  async #make(
    id: string,
    spec: TemplateSpec,
    host: HostTraits,
    onProgress: (progress: Progress) => void,
  ): Promise<Saved> {
    const { folder, disk, log } = this.#options;
    const startedMs = performance.now();
    onProgress({ step: "template", message: "booting a template, once for this kind of VM" });
    for (let attempt = 1; ; attempt++) {
      const staged = await folder.stage(id);
      try {
        const diskMib = baseDiskMib(spec.diskMib);
        await disk.createOverlay(staged.overlayPath, diskMib);
        const saved = await this.#bootAndSave(id, { ...spec, diskMib }, host, staged, onProgress);
        log("a template is made", { id, ms: Math.round(performance.now() - startedMs) });
        await this.#evict(id);
        return saved;
      } catch (error) {
        await folder.discard(staged);
        const isHang = error instanceof FirebreakError && error.code === "GUEST_UNREACHABLE";
        if (!isHang || attempt >= BOOT_ATTEMPTS) throw error;
        log("the boot of a template hung; booting again", { id, attempt });
      }
    }
  }

  async #bootAndSave(
    id: string,
    spec: TemplateSpec,
    host: HostTraits,
    staged: Staged,
    onProgress: (progress: Progress) => void,
  ): Promise<Saved> {
    const { drivers, folder, disk } = this.#options;
    const driver = drivers.of(spec);
    const config = this.#configOf(id, spec, staged);
    const vmm = await driver.start(config);
    try {
      const agent = await this.#awaitReady(vmm);
      onProgress({ step: "template", message: "saving the template", fraction: 0.9 });
      const result = await driver.save(vmm, config, {
        memoryPath: staged.memoryPath,
        statePath: staged.statePath,
        scratchDir: staged.folder,
        // Its drive needs none: nobody writes to it any more.
        copies: [],
        afterwards: "end",
      });
      const overlay = await disk.digest(staged.overlayPath);
      return await folder.commit(staged, {
        format: 1,
        id,
        createdAt: new Date().toISOString(),
        machine: {
          memoryMib: spec.memoryMib,
          cpus: spec.cpus,
          diskMib: spec.diskMib,
          driver: driver.name,
          driverVersion: vmm.driverVersion,
          accel: spec.accel,
        },
        host,
        image: spec.image.name,
        imageDigest: spec.image.digest,
        kernelId: spec.kernel.kernelId,
        agent,
        memory: { sha256: result.memorySha256, dataBytes: result.memoryDataBytes },
        state: { sha256: result.stateSha256, sizeBytes: result.stateSizeBytes },
        overlay,
        policy: NO_NETWORK,
        stoppedMs: 0,
      });
    } finally {
      await driver.kill(vmm);
    }
  }

  #configOf(id: string, spec: TemplateSpec, staged: Staged): VmmConfig {
    const machine: MachineConfig = {
      vmId: runtimeName(id),
      memoryMib: spec.memoryMib,
      cpus: spec.cpus,
      accel: spec.accel,
      drives: [
        { serial: "image", path: spec.image.rootfsPath, readOnly: true },
        { serial: "overlay", path: staged.overlayPath, readOnly: false },
      ],
      runtimeDir: path.join(this.#options.runtimeDir, runtimeName(id)),
      logPath: path.join(staged.folder, "vmm.log"),
      uid: this.#options.uid,
    };
    const { kernelPath, initrdPath, kernelArgs = [] } = spec.kernel;
    return { ...machine, kernelPath, initrdPath, kernelArgs, isTemplate: true };
  }

  /** Waits for the guest agent, warms the guest up, and lets go of it: what is saved waits for a host. */
  async #awaitReady(vmm: VmmRecord): Promise<Manifest["agent"]> {
    const driver = this.#options.drivers.of(vmm);
    const console = await driver.openConsole(vmm, AbortSignal.timeout(BOOT_DEADLINE_MS));
    // Somebody has to take it: a full console stops the guest.
    let words = "";
    console.on("data", (bytes: Buffer) => {
      words = (words + bytes.toString("latin1")).slice(-CONSOLE_KEPT);
      // A kernel that panics restarts, which ends its VMM; under TCG it sometimes hangs on the way instead.
      if (words.includes(PANIC_WORDS)) setTimeout(() => void driver.kill(vmm).catch(() => {}), PANIC_GRACE_MS);
    });
    console.on("error", () => {});
    const connection = new GuestConnection({
      open: (signal) => driver.openChannel(vmm, signal),
      attachDeadlineMs: BOOT_DEADLINE_MS,
    });
    const over = new AbortController();
    const exited = driver.waitForExit(vmm, over.signal).then(async () => {
      if (over.signal.aborted) return new Promise<never>(() => {});
      const { message } = await driver.describeExit(vmm);
      throw new FirebreakError("VM_BOOT_FAILED", addConsoleWords(message, words), { hint: "Run 'firebreak doctor'." });
    });
    exited.catch(() => {}); // heard in the race, or too late to matter
    try {
      const ready = warmUp(new GuestClient(connection), connection).catch(async (error: unknown) => {
        if (await driver.isAlive(vmm)) throw error;
        // A VMM's channel breaks before its end is heard, which says more.
        return exited;
      });
      return await Promise.race([ready, exited]);
    } finally {
      over.abort();
      connection.close();
      console.destroy();
    }
  }

  /** Keeps the number of templates bounded: the disk is not for templates of sizes that somebody once tried. */
  async #evict(justMade: string): Promise<void> {
    const all = await this.#options.folder.list(() => {});
    const byUse = await this.#options.folder.sortByUse(all);
    for (const saved of byUse.slice(MAX_TEMPLATES)) {
      if (saved.manifest.id !== justMade) await this.drop(saved);
    }
  }
}

/** The largest base that fits. */
export function baseDiskMib(diskMib: number): number {
  return BASE_DISKS_MIB.find((base) => base <= diskMib) ?? diskMib;
}

/** Everything that a template depends on; another of any of them is another template. */
export function templateId(spec: TemplateSpec, host: HostTraits): string {
  const words = Object.entries(host).filter(([, value]) => typeof value === "string");
  const inputs = [
    RECIPE,
    spec.image.digest,
    spec.kernel.kernelId,
    // Its name holds the digest of the agent and the modules in it.
    path.basename(spec.kernel.initrdPath),
    ...(spec.kernel.kernelArgs ?? []),
    spec.memoryMib,
    spec.cpus,
    spec.accel,
    baseDiskMib(spec.diskMib),
    ...words.sort(),
  ];
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);
}

function runtimeName(id: string): string {
  return `t${id.slice(0, 11)}`;
}

/** A template as the API shows it. */
export function toTemplate({ manifest }: Saved, isStale: boolean): Template {
  const { machine, overlay } = manifest;
  return {
    id: manifest.id,
    createdAt: manifest.createdAt,
    image: manifest.image,
    imageDigest: manifest.imageDigest,
    kernelId: manifest.kernelId,
    ...machine,
    sizeBytes: manifest.memory.dataBytes + manifest.state.sizeBytes + (overlay?.dataBytes ?? 0),
    isStale,
  };
}

function notFound(id: string): FirebreakError {
  return new FirebreakError("TEMPLATE_NOT_FOUND", `no template has the id '${id}'`, {
    hint: "List them: firebreak template list",
  });
}
