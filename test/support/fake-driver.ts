import { existsSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { checkSocketPath } from "../../src/platform/paths.ts";
import { findProcesses, isSameProcessAlive, signalProcess, spawnDetached } from "../../src/platform/process.ts";
import type {
  AccelVerdict,
  AttachedDrive,
  MachineConfig,
  SavedMachine,
  SaveResult,
  SaveTarget,
  VmmAbilities,
  VmmConfig,
  VmmDriver,
  VmmExit,
  VmmRecord,
} from "../../src/vmm/driver.ts";
import { checkFakeSave, fakeSave } from "./fake-saving.ts";

/** A "VM" that is the real guest agent as a process of this host: the same channel and protocol, without a guest. */
export class FakeDriver implements VmmDriver {
  readonly name = "fake";
  /** Set to make the next starts fail. */
  startError: FirebreakError | undefined;
  /** Starts take until this resolves, and fail as it does. */
  startGate: Promise<void> = Promise.resolve();
  readonly started: VmmConfig[] = [];
  /** Machines that were restored rather than started. */
  readonly restored: MachineConfig[] = [];
  /** Set to make the next saves fail. */
  saveError: FirebreakError | undefined;
  /** Saves take until this resolves. */
  saveGate: Promise<void> = Promise.resolve();
  /** Unset, nobody reaches a guest. */
  hasChannel = true;
  /** Called at the end of each save. */
  onSaved: (target: SaveTarget) => void = () => {};
  traits: Record<string, string | number> = { vmm: "fake 1.0.0" };

  async version(): Promise<string> {
    return "1.0.0";
  }

  async check(): Promise<void> {}

  async abilities(): Promise<VmmAbilities> {
    return { hasNetworkNamespace: false, hasHotplug: true, hasUserCard: true, canSave: true, plugsAtRestore: true };
  }

  close(): void {}

  async chooseAccel(): Promise<AccelVerdict> {
    return { accel: "tcg", reason: "it is a fake", isFresh: false };
  }

  async start(config: VmmConfig): Promise<VmmRecord> {
    const record = await this.#spawn(config);
    this.started.push(config);
    return record;
  }

  prepare(saved: SavedMachine): Promise<void> {
    return checkFakeSave(saved);
  }

  async restore(config: MachineConfig, saved: SavedMachine): Promise<VmmRecord> {
    await checkFakeSave(saved);
    const record = await this.#spawn(config);
    if (config.attached !== undefined) this.attached.set(record.pid, config.attached);
    this.restored.push(config);
    return record;
  }

  async save(record: VmmRecord, config: MachineConfig, target: SaveTarget): Promise<SaveResult> {
    await this.saveGate;
    if (this.saveError !== undefined) throw this.saveError;
    const result = await fakeSave(config, target);
    // As QEMU does, it stands still until it is ended.
    if (target.afterwards === "end") await this.pause(record);
    this.onSaved(target);
    return result;
  }

  release(): void {}

  async describeHost(): Promise<Record<string, string | number>> {
    return this.traits;
  }

  async pause(record: VmmRecord): Promise<void> {
    await signalProcess(record, "SIGSTOP");
  }

  async resume(record: VmmRecord): Promise<void> {
    this.#stalled.delete(record.pid);
    await signalProcess(record, "SIGCONT");
  }

  /** Whom to tell of a full disk, by pid, and those that stand still for one. */
  readonly #diskFull = new Map<number, () => void>();
  readonly #stalled = new Set<number>();

  /** As when something could not be written. */
  async stall(record: VmmRecord): Promise<void> {
    this.#stalled.add(record.pid);
    await this.pause(record);
    this.#diskFull.get(record.pid)?.();
  }

  onDiskFull({ pid }: VmmRecord, listener: () => void): () => void {
    this.#diskFull.set(pid, listener);
    if (this.#stalled.has(pid)) queueMicrotask(listener);
    return () => this.#diskFull.delete(pid);
  }

  async isDiskFull({ pid }: VmmRecord): Promise<boolean> {
    return this.#stalled.has(pid);
  }

  async settle(record: VmmRecord, wanted: "running" | "paused"): Promise<void> {
    if (wanted === "running") await this.resume(record);
  }

  /** Serials of what each VMM has, by pid. */
  readonly attached = new Map<number, AttachedDrive[]>();
  /** Called before a drive is attached or detached. */
  onDrive: (serial: string) => Promise<void> = async () => {};

  async attachDrive(record: VmmRecord, _config: unknown, drive: AttachedDrive): Promise<void> {
    await this.onDrive(drive.serial);
    const others = (this.attached.get(record.pid) ?? []).filter(({ serial }) => serial !== drive.serial);
    if (others.some(({ slot }) => slot === drive.slot))
      throw new FirebreakError("VMM_PROTOCOL_ERROR", `two drives have the slot ${drive.slot}`);
    this.attached.set(record.pid, [...others, drive]);
  }

  async detachDrive(record: VmmRecord, serial: string): Promise<void> {
    await this.onDrive(serial);
    const others = (this.attached.get(record.pid) ?? []).filter((drive) => drive.serial !== serial);
    this.attached.set(record.pid, others);
  }

  async growDrive(): Promise<void> {}

  async #spawn(config: MachineConfig): Promise<VmmRecord> {
    await this.startGate;
    if (this.startError !== undefined) throw this.startError;
    const socket = checkSocketPath(`${config.runtimeDir}/control`);
    await rm(config.runtimeDir, { recursive: true, force: true });
    await mkdir(config.runtimeDir, { recursive: true });
    const log = await open(config.logPath, "a");
    try {
      const { identity } = await spawnDetached(agentBinaryPath(), ["serve", "--socket", socket], {
        fds: ["ignore", log.fd, log.fd],
      });
      while (!existsSync(socket)) await sleep(2);
      return {
        driver: this.name,
        driverVersion: "1.0.0",
        accel: "tcg",
        ...identity,
        runtimeDir: config.runtimeDir,
        logPath: config.logPath,
      };
    } finally {
      await log.close();
    }
  }

  openChannel(record: VmmRecord, signal?: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, "control", signal);
  }

  openEgress(record: VmmRecord, signal?: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, "egress", signal);
  }

  /** The agent's socket is there a moment before anybody listens on it. */
  async #openSocket(record: VmmRecord, name: "control" | "egress", signal?: AbortSignal): Promise<Socket> {
    for (;;) {
      const socket = this.hasChannel ? await connect(`${record.runtimeDir}/${name}`) : undefined;
      if (socket !== undefined) return socket;
      if (signal?.aborted || !(await this.isAlive(record)))
        throw new FirebreakError("VM_CRASHED", "the fake VMM is gone");
      await sleep(5);
    }
  }

  /** A fake has no console: a connection that says nothing. */
  async openConsole(): Promise<Socket> {
    return new net.Socket();
  }

  isAlive(record: VmmRecord): Promise<boolean> {
    return isSameProcessAlive(record);
  }

  async waitForExit(record: VmmRecord, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.isAlive(record))) await sleep(10);
  }

  async describeExit(): Promise<VmmExit> {
    return { isGuestShutdown: false, message: "the fake VMM ended" };
  }

  async kill(record: VmmRecord): Promise<void> {
    await signalProcess(record, "SIGKILL");
    await this.waitForExit(record, new AbortController().signal);
    this.attached.delete(record.pid);
    await rm(record.runtimeDir, { recursive: true, force: true });
  }

  async killUnrecorded(runtimeDir: string): Promise<void> {
    for (const identity of await findProcesses((argv) => argv.includes(`${runtimeDir}/control`)))
      await signalProcess(identity, "SIGKILL");
    await sleep(20);
    await rm(runtimeDir, { recursive: true, force: true });
  }

  async readLogTail(): Promise<string> {
    return "";
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
