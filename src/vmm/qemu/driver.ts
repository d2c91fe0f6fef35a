import net, { type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findProcesses, findProgram, isSameProcessAlive, runCommand } from "../../platform/process.ts";
import type { AccelRequest, AccelVerdict, BootFiles, VmmConfig, VmmDriver, VmmExit, VmmRecord } from "../driver.ts";
import { AccelChooser } from "./accel.ts";
import { SOCKET_NAMES } from "./command-line.ts";
import { QmpClient } from "./qmp.ts";
import { killProcess, readLogTail, removeRuntimeDir, spawnQemu } from "./spawn.ts";

/** How long a dead QEMU's last words may take to arrive. */
const LAST_WORDS_MS = 500;

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
  #program: { path: string; version: string } | undefined;

  constructor(options: QemuDriverOptions) {
    this.#options = options;
    this.#accel = new AccelChooser({
      ...options,
      spawn: (config, tscKhz, signal) => this.#spawnProbe(config, tscKhz, signal),
    });
  }

  async version(): Promise<string> {
    return (await this.#findProgram()).version;
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

  async #spawnProbe(config: VmmConfig, tscKhz: number | undefined, signal?: AbortSignal) {
    return spawnQemu((await this.#findProgram()).path, config, tscKhz, signal);
  }

  async start(config: VmmConfig, signal?: AbortSignal): Promise<VmmRecord> {
    const program = await this.#findProgram();
    const tscKhz = config.accel === "tcg" ? await this.hostTscKhz() : undefined;
    const { identity, qmp } = await spawnQemu(program.path, config, tscKhz, signal);
    this.#keepControl(identity.pid, qmp);
    return {
      driver: this.name,
      driverVersion: program.version,
      accel: config.accel,
      ...identity,
      runtimeDir: config.runtimeDir,
      logPath: config.logPath,
    };
  }

  openChannel(record: VmmRecord, signal: AbortSignal): Promise<Socket> {
    return this.#openSocket(record, SOCKET_NAMES.control, signal);
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
    await removeRuntimeDir(record.runtimeDir);
  }

  readLogTail(record: VmmRecord): Promise<string> {
    return readLogTail(record.logPath);
  }

  /** Lets go of all control connections; the VMs go on. */
  close(): void {
    for (const qmp of this.#controls.values()) qmp.close();
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
