import { closeSync, openSync } from "node:fs";
import net, { type Socket } from "node:net";
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findProcesses, findProgram, isSameProcessAlive, runCommand } from "../../platform/process.ts";
import type {
  AccelName,
  AccelRequest,
  AccelVerdict,
  AttachedDrive,
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
import { killProcess, readLogTail } from "../vmm-process.ts";
import { AccelChooser } from "./accel.ts";
import { isPluggedIn, plugIn, unplug } from "./attached-drives.ts";
import { attachedIds, describeMachine, driveId, type Launch, SOCKET_NAMES } from "./command-line.ts";
import { abandonCopies } from "./drive-copies.ts";
import { GuestMemory, MemoryCache } from "./memory.ts";
import { awaitMigration, continueGuest, readStatus, setCapabilities } from "./migration.ts";
import { QmpClient } from "./qmp.ts";
import { digestState, saveByRecorder, saveTemplate } from "./save.ts";
import { type LentFds, type QemuProcess, removeRuntimeDir, spawnQemu, stateUri } from "./spawn.ts";

/** How long a dead QEMU's last words may take to arrive. */
const LAST_WORDS_MS = 500;
/** The memory of a saved machine that nobody has restored for this long is given back: it cannot be swapped out to a file. */
const MEMORY_IDLE_MS = 15 * 60_000;
const MIB = 1024 * 1024;
/** QEMU's word for a guest that stands still since something could not be written. */
const DISK_FULL = "io-error";

export interface QemuDriverOptions {
  /** Where the accelerator's verdict and the host's TSC frequency are cached. */
  cachePath: string;
  /** The guest agent's binary: it measures the TSC on the host. */
  agentPath: string;
  /** A folder for the probe's sockets. */
  probeRuntimeDir: string;
  /** $FIREBREAK_QEMU or the program's name. */
  program?: string;
  probeUid: number;
}

/** QEMU's microvm machine behind the VMM port. */
export class QemuDriver implements VmmDriver {
  readonly name = "qemu";
  readonly #options: QemuDriverOptions;
  readonly #accel: AccelChooser;
  /** QEMU serves one control client: the daemon keeps it for the VM's life, to hear of its end at once. */
  readonly #controls = new Map<number, QmpClient>();
  /** Why VMMs ended, by pid, until they are cleaned up. */
  readonly #exitReasons = new Map<number, string>();
  /** Whom to tell that a machine stands still on a full disk, by pid. */
  readonly #diskFull = new Map<number, Set<() => void>>();
  /** Memory of templates that have not been saved yet, by pid. */
  readonly #templates = new Map<number, GuestMemory>();
  readonly #memories = new MemoryCache(MEMORY_IDLE_MS);
  /** Restores that have not loaded yet, by pid. */
  readonly #loads = new Map<number, Promise<void>>();
  #program: { path: string; version: string } | undefined;

  constructor(options: QemuDriverOptions) {
    this.#options = options;
    this.#accel = new AccelChooser({
      ...options,
      spawn: (config, signal) => this.#spawn({ kind: "boot", config, tscKhz: undefined }, {}, signal),
    });
  }

  async version(): Promise<string> {
    return (await this.#findProgram()).version;
  }

  async check(): Promise<void> {
    await this.#findProgram();
  }

  async abilities(): Promise<VmmAbilities> {
    return { hasNetworkNamespace: false, hasHotplug: true, hasUserCard: true, canSave: true, plugsAtRestore: true };
  }

  async #findProgram(): Promise<{ path: string; version: string }> {
    if (this.#program !== undefined) return this.#program;
    const name = this.#options.program ?? "qemu-system-x86_64";
    const path = await findProgram(name);
    if (path === undefined) {
      throw new FirebreakError("VMM_NOT_FOUND", `${name} is not installed`, {
        hint: "Install it (Debian: apt-get install qemu-system-x86), or set FIREBREAK_QEMU to its path.",
      });
    }
    const { stdout } = await runCommand(path, ["--version"], { timeoutMs: 10_000 });
    const version = /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (version === undefined) throw new FirebreakError("VMM_START_FAILED", `${path} does not say its version`);
    this.#program = { path, version };
    return this.#program;
  }

  async chooseAccel(request: AccelRequest, boot: BootFiles, signal?: AbortSignal): Promise<AccelVerdict> {
    return this.#accel.choose(request, boot, await this.version(), signal);
  }

  /** The host's TSC frequency in kHz, as guests under TCG are told it. */
  hostTscKhz(): Promise<number | undefined> {
    return this.#accel.hostTscKhz();
  }

  async #spawn(launch: Launch, lent: LentFds, signal?: AbortSignal): Promise<QemuProcess> {
    return spawnQemu((await this.#findProgram()).path, launch, lent, signal);
  }

  async start(config: VmmConfig, signal?: AbortSignal): Promise<VmmRecord> {
    const tscKhz = config.accel === "tcg" ? await this.hostTscKhz() : undefined;
    if (config.isTemplate !== true) {
      return this.#adopt(config, await this.#spawn({ kind: "boot", config, tscKhz }, {}, signal));
    }
    const memory = await GuestMemory.blank(this.#options.agentPath, config.memoryMib * MIB);
    try {
      const qemu = await this.#spawn({ kind: "template", config, tscKhz }, { memory: memory.fd }, signal);
      this.#templates.set(qemu.identity.pid, memory);
      return await this.#adopt(config, qemu);
    } catch (error) {
      memory.close();
      throw error;
    }
  }

  async #adopt(config: MachineConfig, { identity, qmp }: QemuProcess): Promise<VmmRecord> {
    this.#keepControl(identity.pid, qmp);
    return {
      driver: this.name,
      driverVersion: await this.version(),
      accel: config.accel,
      ...identity,
      runtimeDir: config.runtimeDir,
      logPath: config.logPath,
    };
  }

  prepare(saved: SavedMachine): Promise<void> {
    return this.#lend(saved, async () => {});
  }

  /** Lends a saved machine's memory; memory and state are what was saved. */
  async #lend<T>(saved: SavedMachine, use: (memory: number) => Promise<T>): Promise<T> {
    const { memoryPath, statePath } = saved;
    const found = await digestState(statePath).catch(() => undefined);
    if (found?.stateSha256 !== saved.stateSha256) {
      throw new FirebreakError("SNAPSHOT_CORRUPT", `${statePath} is not the state that was saved`);
    }
    const load = () => GuestMemory.load(this.#options.agentPath, memoryPath, saved.memorySha256);
    return this.#memories.lend(saved.memorySha256, load, use);
  }

  async restore(config: MachineConfig, saved: SavedMachine, signal?: AbortSignal): Promise<VmmRecord> {
    return this.#lend(saved, async (memory) => {
      const { statePath } = saved;
      const state = openSync(statePath, "r");
      try {
        const qemu = await this.#spawn({ kind: "restore", config }, { memory, state }, signal);
        const record = await this.#adopt(config, qemu);
        const loaded = this.#load(qemu, config.card !== undefined).finally(() => this.#loads.delete(record.pid));
        loaded.catch(() => {}); // QEMU ends with that, which whoever waits for the VM hears
        this.#loads.set(record.pid, loaded);
        return record;
      } finally {
        closeSync(state);
      }
    });
  }

  /** Loads the state and lets the guest go on: a recorded one would stand still. */
  async #load({ qmp, fds }: QemuProcess, hasCard: boolean): Promise<void> {
    const loaded = awaitMigration(qmp);
    loaded.catch(() => {}); // heard below, unless a command is refused first
    // In one go: each answer that is waited for would cost a round trip of its own.
    await Promise.all([setCapabilities(qmp, true), qmp.execute("migrate-incoming", { uri: stateUri(fds) })]);
    await loaded;
    // What was saved may have had its card plugged into nothing: the guest is told that it has a carrier now.
    if (hasCard) await qmp.execute("set_link", { name: "card", up: true });
    const { status } = (await qmp.execute("query-status")) as { status: string };
    if (status !== "running") await qmp.execute("cont");
  }

  async save(record: VmmRecord, config: MachineConfig, target: SaveTarget, signal?: AbortSignal): Promise<SaveResult> {
    const qmp = await this.#control(record);
    const options = { record, config, target, qmp, signal };
    const template = this.#templates.get(record.pid);
    const memory = template ?? (await GuestMemory.blank(this.#options.agentPath, config.memoryMib * MIB));
    try {
      const result =
        template === undefined
          ? await saveByRecorder(options, memory, (launch, lent, abort) => this.#spawn(launch, lent, abort))
          : await saveTemplate(options, memory);
      // Sealed by now: whoever restores it next need not read the file again.
      this.#memories.add(result.memorySha256, memory);
      return result;
    } catch (error) {
      memory.close();
      throw error;
    } finally {
      this.#templates.delete(record.pid);
    }
  }

  release(memorySha256: string): void {
    this.#memories.release(memorySha256);
  }

  async describeHost(accel: AccelName): Promise<Record<string, string | number>> {
    const traits = { vmm: `${this.name} ${await this.version()}`, machine: describeMachine(accel) };
    // Under KVM the guest has seen the host's CPU, under TCG its clock.
    if (accel === "kvm") return { ...traits, cpu: os.cpus()[0]?.model ?? "unknown" };
    return { ...traits, tscKhz: (await this.hostTscKhz()) ?? 0 };
  }

  async pause(record: VmmRecord): Promise<void> {
    await (await this.#control(record)).execute("stop");
  }

  async resume(record: VmmRecord): Promise<void> {
    await continueGuest(await this.#control(record));
  }

  onDiskFull(record: VmmRecord, listener: () => void): () => void {
    const { pid } = record;
    const listeners = this.#diskFull.get(pid) ?? new Set();
    this.#diskFull.set(pid, listeners.add(listener));
    const tell = (isFull: boolean) => {
      if (isFull && listeners.has(listener)) listener();
    };
    this.isDiskFull(record).then(tell, () => {});
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#diskFull.get(pid) === listeners) this.#diskFull.delete(pid);
    };
  }

  async isDiskFull(record: VmmRecord): Promise<boolean> {
    return (await readStatus(await this.#control(record))) === DISK_FULL;
  }

  async settle(record: VmmRecord, wanted: "running" | "paused"): Promise<void> {
    await this.killUnrecorded(`${record.runtimeDir}.rec`);
    const qmp = await this.#control(record);
    await abandonCopies(qmp);
    await qmp.execute("migrate_cancel");
    if (wanted === "running") await continueGuest(qmp);
  }

  async attachDrive(
    record: VmmRecord,
    config: Pick<MachineConfig, "exchangeDir" | "uid">,
    drive: AttachedDrive,
  ): Promise<void> {
    await this.#loads.get(record.pid);
    await plugIn(await this.#control(record), config, drive);
  }

  async detachDrive(record: VmmRecord, serial: string): Promise<void> {
    await this.#loads.get(record.pid);
    await unplug(await this.#control(record), serial);
  }

  async growDrive(record: VmmRecord, serial: string, sizeBytes: number): Promise<void> {
    await this.#loads.get(record.pid);
    const qmp = await this.#control(record);
    const drive = (await isPluggedIn(qmp, serial))
      ? { "node-name": attachedIds(serial).node }
      : { device: driveId(serial) };
    await qmp.execute("block_resize", { ...drive, size: sizeBytes });
  }

  /** The control connection, opened again when this daemon has none. */
  async #control(record: VmmRecord): Promise<QmpClient> {
    const qmp = this.#controls.get(record.pid) ?? (await this.#connectControl(record));
    if (qmp !== undefined) return qmp;
    throw new FirebreakError("VM_CRASHED", `QEMU does not answer: ${await this.readLogTail(record)}`);
  }

  openChannel(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, SOCKET_NAMES.control, signal);
  }

  openEgress(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, SOCKET_NAMES.egress, signal);
  }

  openConsole(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, SOCKET_NAMES.console, signal);
  }

  async #openSocket(record: VmmRecord, name: string, signal: AbortSignal): Promise<Socket> {
    while (!signal.aborted) {
      const socket = await connect(`${record.runtimeDir}/${name}`);
      if (socket !== undefined) return socket;
      if (!(await this.isAlive(record)))
        throw new FirebreakError("VM_CRASHED", `QEMU is gone: ${await this.readLogTail(record)}`);
      await sleep(10);
    }
    throw new FirebreakError("OPERATION_CANCELED", "opening the channel was cancelled");
  }

  isAlive(record: VmmRecord): Promise<boolean> {
    return isSameProcessAlive(record);
  }

  async waitForExit(record: VmmRecord, signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted && (await this.isAlive(record))) {
      const control = this.#controls.get(record.pid) ?? (await this.#connectControl(record));
      // The socket's end is the process's end, or nearly; without a control connection the clock asks.
      await Promise.race([control?.closed ?? sleep(500, undefined, { ref: false }), aborted]);
      if (control !== undefined) await sleep(10);
    }
  }

  async #connectControl(record: VmmRecord): Promise<QmpClient | undefined> {
    const qmp = await QmpClient.connect(`${record.runtimeDir}/${SOCKET_NAMES.qmp}`, 2_000).catch(() => undefined);
    if (qmp !== undefined) this.#keepControl(record.pid, qmp);
    return qmp;
  }

  #keepControl(pid: number, qmp: QmpClient): void {
    this.#controls.set(pid, qmp);
    // With `werror=enospc` there is one error only that stops a machine.
    qmp.listen((event) => {
      if (event !== "STOP" || !this.#diskFull.has(pid)) return;
      const tell = (status: unknown) => {
        if (status === DISK_FULL) for (const listener of this.#diskFull.get(pid) ?? []) listener();
      };
      readStatus(qmp).then(tell, () => {});
    });
    void qmp.closed.then(() => {
      if (this.#controls.get(pid) === qmp) this.#controls.delete(pid);
      if (qmp.shutdownReason !== undefined) this.#exitReasons.set(pid, qmp.shutdownReason);
    });
  }

  async describeExit(record: VmmRecord): Promise<VmmExit> {
    // The process may be gone before its last words on the control socket have been read.
    await Promise.race([this.#controls.get(record.pid)?.closed, sleep(LAST_WORDS_MS, undefined, { ref: false })]);
    const reason = this.#exitReasons.get(record.pid);
    if (reason === "guest-shutdown") return { isGuestShutdown: true, message: "the guest powered off" };
    if (reason === "guest-reset") return { isGuestShutdown: false, message: "the guest kernel panicked or rebooted" };
    const words = await this.readLogTail(record);
    return { isGuestShutdown: false, message: `QEMU ended unexpectedly (${words})` };
  }

  async killUnrecorded(runtimeDir: string): Promise<void> {
    // The control socket's path stands on the command line of exactly the QEMU that serves it.
    const marker = `path=${runtimeDir}/${SOCKET_NAMES.control},`;
    for (const identity of await findProcesses((argv) => argv.some((word) => word.includes(marker))))
      await killProcess(identity);
    await removeRuntimeDir(runtimeDir);
  }

  async kill(record: VmmRecord): Promise<void> {
    await killProcess(record);
    this.#controls.get(record.pid)?.close();
    this.#exitReasons.delete(record.pid);
    this.#templates.get(record.pid)?.close();
    this.#templates.delete(record.pid);
    await removeRuntimeDir(record.runtimeDir);
  }

  readLogTail(record: VmmRecord): Promise<string> {
    return readLogTail(record.logPath);
  }

  /** Lets go of all control connections; the VMs go on. */
  close(): void {
    for (const qmp of this.#controls.values()) qmp.close();
    this.#memories.close();
  }
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", () => resolve(undefined));
  });
}
