import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net, { type Server, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { HostDisk } from "../src/daemon/host-disk.ts";
import { AttachmentScanner, KNOCK_LINE } from "../src/guest/attachment.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { findProgram } from "../src/platform/process.ts";
import type { Saved } from "../src/snapshots/saved-folder.ts";
import type { MachineConfig } from "../src/vmm/driver.ts";
import { buildQemuArgs, SOCKET_NAMES } from "../src/vmm/qemu/command-line.ts";
import { GuestMemory } from "../src/vmm/qemu/memory.ts";

export const FLOOR_IS = "bare QEMU, the same template: from its start to the agent's answer to GET /v1/hello";

const ANSWER_DEADLINE_MS = 60_000;
/** Within which a process whose sockets have broken is known to have ended. */
const EXIT_MS = 500;
/** A guest that greets by itself has done so by then. */
const KNOCK_MS = 60;

/** Where QEMU finds what it inherits. */
const STATE_FD = 3;
const MEMORY_FD = 4;
const FIRST_DRIVE_FD = 5;

/** For QEMU's control socket, in one piece as soon as it is there. */
const RESTORE_COMMANDS = [
  { execute: "qmp_capabilities" },
  {
    execute: "migrate-set-capabilities",
    arguments: {
      capabilities: [
        { capability: "x-ignore-shared", state: true },
        { capability: "events", state: true },
      ],
    },
  },
  { execute: "migrate-incoming", arguments: { uri: `fd:${STATE_FD}` } },
];

/** A recorded machine stands still once it has loaded; one that is saved as it ends goes on by itself, and this changes nothing. */
const GO_ON = { execute: "cont" };

interface FloorSource {
  template: Saved;
  rootfsPath: string;
  program: string;
  memory: GuestMemory;
}

/**
 * The floor of everything that begins with a fork: QEMU alone restores the very template that the daemon forks from, without daemon,
 * store, user, identity or command. What can be had ready beforehand is: the memory is lent, the drive copied. The command line is the
 * driver's, but for the sockets' direction: QEMU dials ours, so that nobody has to ask again and again whether they are there.
 */
export class RestoreFloor {
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), "fb-floor-"));
  readonly #disk = new HostDisk(agentBinaryPath());
  readonly #source: FloorSource;
  #count = 0;

  private constructor(source: FloorSource) {
    this.#source = source;
  }

  /** `rootfsPath` is the file of the template's image. */
  static async open(template: Saved, rootfsPath: string): Promise<RestoreFloor> {
    const program = await findProgram(process.env.FIREBREAK_QEMU || "qemu-system-x86_64");
    if (program === undefined) throw new Error("QEMU is not installed");
    const { memoryPath, memorySha256 } = template.machine;
    const memory = await GuestMemory.load(agentBinaryPath(), memoryPath, memorySha256);
    return new RestoreFloor({ template, rootfsPath, program, memory });
  }

  /** Restores so many at once: ms from the first one's start until all have answered. */
  async measure(count = 1): Promise<number> {
    const machines: BareMachine[] = [];
    try {
      for (let index = 0; index < count; index++) machines.push(await this.#prepare());
      const startedMs = performance.now();
      await Promise.all(machines.map((machine) => machine.restore()));
      return performance.now() - startedMs;
    } finally {
      await Promise.all(machines.map((machine) => machine.end()));
    }
  }

  async #prepare(): Promise<BareMachine> {
    const { template, rootfsPath, program, memory } = this.#source;
    const { memoryMib, cpus, accel } = template.manifest.machine;
    const runtimeDir = path.join(this.#folder, String(this.#count++));
    mkdirSync(runtimeDir);
    const overlay = path.join(runtimeDir, "overlay.ext4");
    await this.#disk.copySparse(template.overlayPath, overlay);
    const config: MachineConfig = {
      vmId: "floor",
      memoryMib,
      cpus,
      accel,
      drives: [
        { serial: "image", path: rootfsPath, readOnly: true },
        { serial: "overlay", path: overlay, readOnly: false },
      ],
      runtimeDir,
      logPath: path.join(runtimeDir, "vmm.log"),
      uid: 0,
    };
    return BareMachine.prepare(program, config, memory.fd, template.machine.statePath);
  }

  close(): void {
    this.#source.memory.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One QEMU, ready to be started. */
class BareMachine {
  readonly #program: string;
  readonly #config: MachineConfig;
  readonly #fds: number[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets: Socket[] = [];
  readonly #arrivals = new Map<string, Promise<Socket>>();
  #child: ChildProcess | undefined;

  private constructor(program: string, config: MachineConfig) {
    this.#program = program;
    this.#config = config;
  }

  static async prepare(
    program: string,
    config: MachineConfig,
    memoryFd: number,
    statePath: string,
  ): Promise<BareMachine> {
    const machine = new BareMachine(program, config);
    const open = (file: string, flags: string) => machine.#fds.push(openSync(file, flags));
    open(config.logPath, "a");
    open(statePath, "r");
    open(`/proc/self/fd/${memoryFd}`, "r");
    for (const drive of config.drives) open(drive.path, drive.readOnly ? "r" : "r+");
    for (const name of Object.values(SOCKET_NAMES)) await machine.#listen(name);
    return machine;
  }

  /** Our end of a socket that QEMU will dial. */
  async #listen(name: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const server = net.createServer((socket) => {
      socket.on("error", () => {}); // it ends with QEMU
      this.#sockets.push(socket);
      resolve(socket);
    });
    this.#servers.push(server);
    server.listen(path.join(this.#config.runtimeDir, name));
    await once(server, "listening");
    this.#arrivals.set(name, promise);
  }

  /** Starts QEMU and resolves when the agent has answered. */
  async restore(): Promise<void> {
    const [log, ...inherited] = this.#fds as [number, ...number[]];
    const child = spawn(this.#program, this.#args(), {
      stdio: ["ignore", log, log, ...inherited],
      env: { PATH: "/usr/bin:/bin", LANG: "C" },
      // A session of its own, as the driver's have: the kernel shares a busy host out by sessions.
      detached: true,
    });
    this.#child = child;
    const ended = new Promise<never>((_, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`QEMU ended: ${readFileSync(this.#config.logPath, "utf8").trim()}`)));
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), ANSWER_DEADLINE_MS);
    const answer = this.#awaitAnswer().catch(async (error: unknown) => {
      // Its sockets break before it is known to have ended, and its own words say more.
      await sleep(EXIT_MS);
      throw error;
    });
    await Promise.race([answer, ended]).finally(() => clearTimeout(timer));
  }

  #args(): string[] {
    const drives = this.#config.drives.map((_, index) => FIRST_DRIVE_FD + index);
    const args = buildQemuArgs({ kind: "restore", config: this.#config }, { memory: MEMORY_FD, drives });
    const dialling = args.map((word) => word.replace(",server=on,wait=off", ""));
    if (dialling.filter((word, index) => word !== args[index]).length === this.#servers.length) return dialling;
    throw new Error("the driver's command line names its sockets in another way than this floor knows");
  }

  async #awaitAnswer(): Promise<void> {
    const arrival = (name: string) => this.#arrivals.get(name) as Promise<Socket>; // all were set by prepare
    void arrival(SOCKET_NAMES.qmp).then((socket) => {
      void sendRestore(socket);
    });
    void arrival(SOCKET_NAMES.console).then((socket) => socket.resume());
    const control = await arrival(SOCKET_NAMES.control);
    await attach(control);
    await askHello(control);
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    for (const fd of this.#fds) closeSync(fd);
    rmSync(this.#config.runtimeDir, { recursive: true, force: true });
  }
}

async function sendRestore(socket: Socket): Promise<void> {
  socket.write(RESTORE_COMMANDS.map((command) => `${JSON.stringify(command)}\n`).join(""));
  for await (const line of createInterface({ input: socket })) {
    const { event, data } = JSON.parse(line) as { event?: string; data?: { status?: string } };
    if (event === "MIGRATION" && data?.status === "completed") socket.write(`${JSON.stringify(GO_ON)}\n`);
  }
}

/** The attachment of docs/guest-protocol.md: the agent's line is answered, its confirmation awaited. */
async function attach(socket: Socket): Promise<void> {
  const scanner = new AttachmentScanner(randomBytes(16).toString("hex"));
  // A guest that was saved while it was attached does not notice a new host by itself.
  const knock = setTimeout(() => socket.write(KNOCK_LINE), KNOCK_MS);
  while (true) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await once(socket, "readable");
      continue;
    }
    const { reply, attached } = scanner.push(chunk);
    if (reply !== "") {
      // Behind the reply a knock would be HTTP/2 to the guest, which would end the session.
      clearTimeout(knock);
      socket.write(reply);
    }
    if (attached === undefined) continue;
    if (attached.rest.length > 0) socket.unshift(attached.rest);
    return;
  }
}

async function askHello(socket: Socket): Promise<void> {
  const session = http2.connect("http://guest", { createConnection: () => socket });
  session.on("error", () => {}); // it ends with QEMU
  const stream = session.request({ ":path": "/v1/hello" });
  stream.setEncoding("utf8");
  let text = "";
  for await (const piece of stream) text += piece;
  if ((JSON.parse(text) as { generation?: number }).generation === undefined) throw new Error(`no hello: ${text}`);
}
