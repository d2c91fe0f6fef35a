import { closeSync, constants, openSync } from "node:fs";
import { mkdir, stat, truncate } from "node:fs/promises";
import net, { type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { isSameProcessAlive, runCommand } from "../../platform/process.ts";
import type {
  AccelName,
  AccelRequest,
  AccelVerdict,
  BootFiles,
  MachineConfig,
  SavedMachine,
  SaveResult,
  SaveTarget,
  VmmAbilities,
  VmmConfig,
  VmmDriver,
  VmmExit,
  VmmRecord,
} from "../driver.ts";
import { noUserCard } from "../drivers.ts";
import { explainKvm } from "../kvm-device.ts";
import { KVM_HANGS, PROBE_DEADLINE_MS, probeConfig } from "../kvm-probe.ts";
import { killProcess, readLogTail } from "../vmm-process.ts";
import { type ApiRequest, FirecrackerApi } from "./api-client.ts";
import {
  checkUser,
  closeJail,
  findVmms,
  giveSocket,
  type JailPrograms,
  jailIdOf,
  makeJail,
  removeCgroups,
} from "./jail/jail.ts";
import { closeSaves, directPlace, jailedPlace } from "./jail/saves.ts";
import { checkSeccomp } from "./jail/seccomp.ts";
import { ensureKernelElf } from "./kernel-elf.ts";
import { driveFile, FIRECRACKER_FILES, portSocket, rootOf, savesFolder, VSOCK_PORTS } from "./layout.ts";
import { ProgramFinder, type ProgramFinderOptions } from "./release/programs.ts";
import { type FirecrackerFeatures, featuresOf } from "./release/version.ts";
import {
  bootRequests,
  describeMachine,
  driveFileRequest,
  type FirecrackerTuning,
  restoreRequests,
  stateRequest,
} from "./requests.ts";
import { checkSaved, saveMachine } from "./saving.ts";
import {
  type FirecrackerProcess,
  makeConsole,
  makeOpenRoot,
  makeRuntimeDir,
  removeRuntimeDir,
  spawnFirecracker,
} from "./spawn.ts";
import { readState } from "./state.ts";
import { VsockPort } from "./vsock.ts";

/** Without the process's own end to wait for, as another daemon's VMs are. */
const LOOK_MS = 300;
const LOAD_DEADLINE_MS = 60_000;
const MAX_LOG_BYTES = 1024 * 1024;

export interface FirecrackerDriverOptions extends ProgramFinderOptions {
  /** The guest agent's binary, which digests memory. */
  agentPath: string;
  /** Where uncompressed kernels are kept. */
  kernelFolder: string;
  /** A folder for the probe's sockets. */
  probeRuntimeDir: string;
  probeLogPath: string;
  probeUid: number;
  settings?: () => FirecrackerSettings;
}

/** What an operator decides, `[firecracker]` of firebreak.toml. */
export interface FirecrackerSettings {
  tuning: FirecrackerTuning;
  /** Somebody has decided that Firecracker may run as this daemon's own user, where there is no jailer or no right to use it. */
  allowUnjailed: boolean;
  /** The control group that has one of each VM in it, below the hierarchy's root. */
  parentCgroup: string;
}

const DEFAULT_SETTINGS: FirecrackerSettings = { tuning: {}, allowUnjailed: false, parentCgroup: "firebreak" };

/** Firecracker behind the VMM port. */
export class FirecrackerDriver implements VmmDriver {
  readonly name = "firecracker";
  readonly #options: FirecrackerDriverOptions;
  /** Who listens for a guest, by runtime folder and port. */
  readonly #ports = new Map<string, Promise<VsockPort>>();
  /** Ends of processes that this daemon has started, by pid. */
  readonly #exits = new Map<number, Promise<number | null>>();
  readonly #exitCodes = new Map<number, number | null>();
  readonly #finder: ProgramFinder;
  #verdict: Promise<AccelVerdict> | undefined;

  constructor(options: FirecrackerDriverOptions) {
    this.#options = options;
    this.#finder = new ProgramFinder(options);
  }

  get #settings(): FirecrackerSettings {
    return this.#options.settings?.() ?? DEFAULT_SETTINGS;
  }

  async version(): Promise<string> {
    return (await this.#finder.find()).version.text;
  }

  async check(): Promise<void> {
    await this.#chooseJail();
  }

  async abilities(): Promise<VmmAbilities> {
    const hasHugePages = this.#settings.tuning.hugePages === true;
    const canSave = (await this.#features()).hasReliableVsock && !hasHugePages;
    const whyNotSaved = hasHugePages ? { whyNotSaved: "huge_pages in [firecracker]" } : {};
    const has = { hasNetworkNamespace: true, hasHotplug: false, hasUserCard: false };
    return { ...has, canSave, ...whyNotSaved, plugsAtRestore: false };
  }

  async #features(): Promise<FirecrackerFeatures> {
    return featuresOf((await this.#finder.find()).version);
  }

  /** What jails are made with; undefined where Firecracker may run without one. Throws VMM_START_FAILED where it may not. */
  async #chooseJail(): Promise<JailPrograms | undefined> {
    const { path: firecracker, jailer } = await this.#finder.find();
    const { allowUnjailed, parentCgroup } = this.#settings;
    const isRoot = process.getuid?.() === 0;
    if (isRoot && "path" in jailer) return { jailer: jailer.path, firecracker, parentCgroup };
    if (allowUnjailed) return undefined;
    const why = isRoot ? (jailer as { missing: string }).missing : "only root can make jails";
    throw new FirebreakError("VMM_START_FAILED", `Firecracker would run without its jailer: ${why}`, {
      hint: "Use the driver qemu; or set allow_unjailed = true in [firecracker] of firebreak.toml, where nothing else on this host is out of a VMM's reach.",
    });
  }

  async chooseAccel(request: AccelRequest, boot: BootFiles, signal?: AbortSignal): Promise<AccelVerdict> {
    if (request === "tcg") throw noEmulation();
    const closed = await explainKvm();
    if (closed !== undefined) throw kvmUnavailable(closed);
    for (;;) {
      const isFresh = this.#verdict === undefined;
      this.#verdict ??= this.#probe(boot, signal);
      const asked = this.#verdict;
      try {
        return { ...(await asked), isFresh };
      } catch (error) {
        // What is wrong may be put right; only what works is believed for good.
        if (this.#verdict === asked) this.#verdict = undefined;
        // Whoever began this probe has given it up, which is no answer to others.
        const isAnothers = !isFresh && toFirebreakError(error).code === "OPERATION_CANCELED";
        if (signal?.aborted || !isAnothers) throw error;
      }
    }
  }

  /** Boots the real kernel until the guest dials: a /dev/kvm that opens proves nothing. */
  async #probe(boot: BootFiles, signal?: AbortSignal): Promise<AccelVerdict> {
    const deadline = AbortSignal.timeout(PROBE_DEADLINE_MS);
    const { probeRuntimeDir: runtimeDir, probeLogPath: logPath } = this.#options;
    // A folder of its own: a jail has one for what is saved beside its log.
    await mkdir(path.dirname(logPath), { recursive: true });
    const config = probeConfig(boot, { runtimeDir, logPath, uid: this.#options.probeUid });
    // Of a daemon that was killed in the middle of its own.
    await this.killUnrecorded(runtimeDir);
    const record = await this.start(config, signal);
    try {
      const socket = await this.openChannel(record, signal ? AbortSignal.any([deadline, signal]) : deadline);
      socket.destroy();
      return { accel: "kvm", isFresh: true };
    } catch (error) {
      if (signal?.aborted) throw error;
      if (!deadline.aborted) throw kvmUnavailable(toFirebreakError(error).message);
      throw kvmUnavailable(KVM_HANGS);
    } finally {
      await this.kill(record);
    }
  }

  async start(config: VmmConfig, signal?: AbortSignal): Promise<VmmRecord> {
    const kernel = await ensureKernelElf(config.kernelPath, this.#options.kernelFolder);
    const features = await this.#features();
    const files = { [FIRECRACKER_FILES.kernel]: kernel, [FIRECRACKER_FILES.initrd]: config.initrdPath };
    return this.#launch(config, files, bootRequests(config, features, this.#settings.tuning), signal);
  }

  /** Starts Firecracker and has it do what is asked. Whatever fails, nothing is left of it. */
  async #launch(
    config: MachineConfig,
    files: Record<string, string>,
    requests: ApiRequest[],
    signal?: AbortSignal,
  ): Promise<VmmRecord> {
    if (config.accel !== "kvm") throw noEmulation();
    if (config.card?.kind === "user") throw noUserCard(this.name);
    const { path: program, version } = await this.#finder.find();
    const jail = await this.#chooseJail();
    let started: FirecrackerProcess | undefined;
    try {
      await makeRuntimeDir(config);
      const command =
        jail === undefined ? await makeOpenRoot(config, program, files) : await makeJail(config, jail, files);
      await makeConsole(config.runtimeDir, jail === undefined ? undefined : config.uid);
      // A guest dials as soon as it runs.
      for (const port of Object.values(VSOCK_PORTS)) await this.#listen(config.runtimeDir, port);
      started = await spawnFirecracker(command, config, signal);
      const { identity, exited, api } = started;
      const options = { ...(signal && { signal }), deadlineMs: LOAD_DEADLINE_MS };
      for (const request of requests.slice(0, -1)) await api.call(request, options);
      if (jail !== undefined) await closeJail(config.runtimeDir);
      // The last one lets the guest run.
      for (const request of requests.slice(-1)) await api.call(request, options);
      await checkSeccomp(identity.pid);
      if (jail !== undefined) await checkUser(identity.pid, config.uid);
      this.#watch(identity.pid, exited);
      return {
        driver: this.name,
        driverVersion: version.text,
        accel: config.accel,
        ...identity,
        runtimeDir: config.runtimeDir,
        logPath: config.logPath,
      };
    } catch (error) {
      if (started !== undefined) await killProcess(started.identity);
      await this.killUnrecorded(config.runtimeDir);
      throw await describeStartFailure(error, config);
    }
  }

  #watch(pid: number, exited: Promise<number | null>): void {
    const noted = exited.then((code) => {
      this.#exitCodes.set(pid, code);
      return code;
    });
    this.#exits.set(pid, noted);
  }

  #listen(runtimeDir: string, port: number): Promise<VsockPort> {
    const socket = portSocket(runtimeDir, port);
    let listening = this.#ports.get(socket);
    if (listening === undefined) {
      listening = VsockPort.listen(socket).then(async (listener) => {
        await giveSocket(runtimeDir, socket);
        return listener;
      });
      this.#ports.set(socket, listening);
      listening.catch(() => this.#ports.delete(socket));
    }
    return listening;
  }

  /** Lets go of a VM's listeners and removes its folder, with its control groups. */
  async #forget(runtimeDir: string): Promise<void> {
    await removeCgroups(runtimeDir);
    for (const port of Object.values(VSOCK_PORTS)) {
      const socket = portSocket(runtimeDir, port);
      const listening = this.#ports.get(socket);
      this.#ports.delete(socket);
      (await listening?.catch(() => undefined))?.close();
    }
    await removeRuntimeDir(runtimeDir);
  }

  prepare(saved: SavedMachine): Promise<void> {
    return checkSaved(this.#options.agentPath, saved);
  }

  async restore(config: MachineConfig, saved: SavedMachine, signal?: AbortSignal): Promise<VmmRecord> {
    await this.#checkSnapshots();
    await this.prepare(saved);
    const files = { [FIRECRACKER_FILES.memory]: saved.memoryPath, [FIRECRACKER_FILES.state]: saved.statePath };
    return this.#launch(config, files, restoreRequests(config, await this.#features()), signal);
  }

  async save(record: VmmRecord, config: MachineConfig, target: SaveTarget, signal?: AbortSignal): Promise<SaveResult> {
    await this.#checkSnapshots();
    const isJailed = (await jailIdOf(record.runtimeDir)) !== undefined;
    const place = isJailed ? jailedPlace(config, target) : directPlace(target);
    return saveMachine(this.#api(record), this.#options.agentPath, config, target, place, signal);
  }

  /** A restored guest that does not reach its host again is of no use: nothing is saved, and nothing loaded, by a release with that bug. */
  async #checkSnapshots(): Promise<void> {
    const { version } = await this.#finder.find();
    if (featuresOf(version).hasReliableVsock) return;
    throw new FirebreakError(
      "SNAPSHOT_INCOMPATIBLE",
      `Firecracker ${version.text} loses guests that are restored; 1.16.1 is the first that does not`,
      { hint: "Install a newer release of Firecracker, or use the driver qemu.", details: { version: version.text } },
    );
  }

  release(): void {
    // Nothing is kept: Firecracker maps the file, and the page cache has what is used of it.
  }

  async describeHost(accel: AccelName): Promise<Record<string, string | number>> {
    const machine = `${describeMachine(this.#settings.tuning)} ${accel}`;
    return { vmm: `${this.name} ${await this.version()}`, machine, cpu: os.cpus()[0]?.model ?? "unknown" };
  }

  async pause(record: VmmRecord): Promise<void> {
    await this.#change(record, "Paused");
  }

  async resume(record: VmmRecord): Promise<void> {
    await this.#change(record, "Resumed");
  }

  /** Firecracker refuses to pause what is paused already. */
  async #change(record: VmmRecord, wanted: "Paused" | "Resumed"): Promise<void> {
    const api = this.#api(record);
    const isThere = (await readState(api)) === (wanted === "Paused" ? "Paused" : "Running");
    if (!isThere) await api.call(stateRequest(wanted));
  }

  onDiskFull(): () => void {
    // Firecracker tells its guest of a write that found no room, and goes on.
    return () => {};
  }

  async isDiskFull(record: VmmRecord): Promise<boolean> {
    await readState(this.#api(record));
    return false;
  }

  async settle(record: VmmRecord, wanted: "running" | "paused"): Promise<void> {
    if ((await jailIdOf(record.runtimeDir)) !== undefined) await closeSaves(savesFolder(record));
    await (wanted === "running" ? this.resume(record) : this.pause(record));
  }

  async attachDrive(): Promise<void> {
    throw new FirebreakError("DRIVE_UNSUPPORTED", "Firecracker cannot be given drives while it runs", {
      hint: "Create the VM with the driver qemu.",
    });
  }

  async detachDrive(): Promise<void> {
    // None can have come.
  }

  async growDrive(record: VmmRecord, serial: string, sizeBytes: number): Promise<void> {
    const file = `${record.runtimeDir}/${driveFile(serial)}`;
    if ((await stat(file)).size < sizeBytes) await runCommand("truncate", ["-s", String(sizeBytes), "--", file]);
    await this.#api(record).call(driveFileRequest(serial));
  }

  #api(record: VmmRecord): FirecrackerApi {
    return new FirecrackerApi(`${rootOf(record.runtimeDir)}/${FIRECRACKER_FILES.api}`);
  }

  openChannel(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#takeConnection(record, VSOCK_PORTS.control, signal);
  }

  openEgress(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#takeConnection(record, VSOCK_PORTS.egress, signal);
  }

  async #takeConnection(record: VmmRecord, port: number, signal: AbortSignal): Promise<Socket> {
    const isGone = async () => !(await this.isAlive(record));
    if (!(await isGone())) {
      const socket = await (await this.#listen(record.runtimeDir, port)).take(signal, isGone);
      if (socket !== undefined) return socket;
    }
    throw new FirebreakError("VM_CRASHED", `Firecracker is gone: ${await this.readLogTail(record)}`);
  }

  async openConsole(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    signal.throwIfAborted();
    const fd = openSync(
      `${rootOf(record.runtimeDir)}/${FIRECRACKER_FILES.console}`,
      constants.O_RDONLY | constants.O_NONBLOCK,
    );
    try {
      return new net.Socket({ fd, readable: true, writable: false });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  isAlive(record: VmmRecord): Promise<boolean> {
    return isSameProcessAlive(record);
  }

  async waitForExit(record: VmmRecord, signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted && (await this.isAlive(record))) {
      await boundLog(record.logPath);
      let timer: NodeJS.Timeout | undefined;
      const look = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LOOK_MS).unref();
      });
      await Promise.race([this.#exits.get(record.pid) ?? look, look, aborted]);
      clearTimeout(timer);
    }
  }

  async describeExit(record: VmmRecord): Promise<VmmExit> {
    const code = this.#exitCodes.get(record.pid);
    const words = await this.readLogTail(record);
    // A guest that powers off resets its machine, for want of anything else; one that panics does so too.
    if (code === 0 || /exiting successfully/i.test(words))
      return { isGuestShutdown: true, message: "the guest powered off" };
    return { isGuestShutdown: false, message: `Firecracker ended unexpectedly (${words})` };
  }

  async killUnrecorded(runtimeDir: string): Promise<void> {
    for (const identity of await findVmms(runtimeDir)) await killProcess(identity);
    await this.#forget(runtimeDir);
  }

  async kill(record: VmmRecord): Promise<void> {
    await killProcess(record);
    this.#exits.delete(record.pid);
    this.#exitCodes.delete(record.pid);
    await this.#forget(record.runtimeDir);
  }

  readLogTail(record: VmmRecord): Promise<string> {
    return readLogTail(record.logPath);
  }

  /** Lets go of all listeners; the VMs go on. */
  async close(): Promise<void> {
    const all = [...this.#ports.values()];
    this.#ports.clear();
    for (const listening of all) (await listening.catch(() => undefined))?.close();
  }
}

/**
 * Firecracker writes a line for each connection that its guest resets, and does not bound them: a guest would fill the host's disk by that. Only its last words are of use.
 * It appends, so it goes on at the beginning of a file that has been emptied.
 */
async function boundLog(logPath: string): Promise<void> {
  const size = await stat(logPath).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await truncate(logPath, 0).catch(() => {}); // looked at again in a moment
}

async function describeStartFailure(error: unknown, config: MachineConfig): Promise<FirebreakError> {
  const failure = toFirebreakError(error);
  if (failure.code !== "VMM_PROTOCOL_ERROR" && failure.code !== "VM_CRASHED" && failure.code !== "DEADLINE_EXCEEDED")
    return failure;
  const words = await readLogTail(config.logPath);
  return new FirebreakError("VMM_START_FAILED", `${failure.message}; its last words: ${words}`, {
    cause: failure,
    hint: "Run 'firebreak doctor'; the whole log is in the VM's folder.",
  });
}

function noEmulation(): FirebreakError {
  return kvmUnavailable("Firecracker has no emulation");
}

function kvmUnavailable(why: string): FirebreakError {
  return new FirebreakError("ACCEL_UNAVAILABLE", `Firecracker cannot run here: ${why}`, {
    hint: "Use the driver qemu, which can emulate.",
  });
}
