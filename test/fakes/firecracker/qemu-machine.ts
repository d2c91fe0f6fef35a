import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync, statSync, writeSync } from "node:fs";
import { mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitMigration, setCapabilities } from "../../../src/vmm/qemu/migration.ts";
import { QmpClient } from "../../../src/vmm/qemu/qmp.ts";
import { DialBridge, listenForHost } from "./bridge.ts";
import type { DriveConfiguration, LoadOverrides, Machine, MachineConfiguration } from "./machine.ts";

export interface QemuMachineOptions {
  /**
   * The program of vhost-device-vsock (crates.io), which gives QEMU's guest a vsock as Firecracker has it: `<uds>_<port>`, `CONNECT port`. Without it
   * the guest has virtio ports, which are connected to the same sockets; only such a machine can be saved.
   */
  vsockDevice?: string;
  /** As `firebreak-agent tsc-khz` measures it: guests under emulation do not find it out by themselves. */
  tscKhz: number;
  /** The machine has ended, and with it the VMM. */
  onEnd: (code: number) => void;
}

/** Two busy cores start slowly. */
const QMP_DEADLINE_MS = 15_000;
const SAVE_BYTES_PER_SECOND = 8 * 1024 ** 3;
/** src/vmm/firecracker/layout.ts and the guest agent have the same. */
const PORTS = { "agent.control": 1024, "agent.egress": 1025 };
/** Sockets of what the fake is made of: a jail's root is closed to it, and this is the one folder that the jailer makes for its user. */
const OWN_FOLDER = "run";
const VSOCK_WORD = "firebreak.channel=vsock";

/** A real guest, under QEMU's emulation, with what Firecracker gives its own: devices by ACPI, in the order of the requests, and vsock. */
export class QemuMachine implements Machine {
  readonly #options: QemuMachineOptions;
  #config: MachineConfiguration | undefined;
  #qmp: QmpClient | undefined;
  #bridges: DialBridge[] = [];

  constructor(options: QemuMachineOptions) {
    this.#options = options;
  }

  async start(config: MachineConfiguration): Promise<void> {
    const boot = config["boot-source"];
    if (boot === undefined) throw new Error("Cannot start microvm without kernel configuration.");
    // Its guest is told of no vsock where it has virtio ports in its place.
    const args = (boot.boot_args ?? "")
      .split(" ")
      .filter((word) => this.#options.vsockDevice !== undefined || word !== VSOCK_WORD);
    const clock = [`tsc_early_khz=${this.#options.tscKhz}`, "tsc=reliable", "no_timer_check"];
    const initrd = boot.initrd_path === undefined ? [] : ["-initrd", boot.initrd_path];
    await this.#launch(config, [
      "-kernel",
      boot.kernel_image_path,
      "-append",
      [...args, ...clock].join(" "),
      ...initrd,
    ]);
  }

  async #launch(config: MachineConfiguration, guest: string[]): Promise<void> {
    const { vsock, drives, balloon } = config;
    if (vsock === undefined) throw new Error("the fake's machines have a vsock");
    this.#config = config;
    const { vcpu_count, mem_size_mib } = config["machine-config"];
    const channel = this.#channel();
    const qmp = `${OWN_FOLDER}/qmp`;
    const qemu = this.#run("qemu-system-x86_64", [
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-M", "microvm,acpi=on,isa-serial=on,pit=off,pic=off,rtc=on,memory-backend=mem", "-accel", "tcg,tb-size=256"],
      ...["-cpu", "max,-erms,-fsrm", "-smp", String(vcpu_count), "-m", String(mem_size_mib)],
      ...["-object", `memory-backend-memfd,id=mem,size=${mem_size_mib}M,share=on`, "-serial", "stdio"],
      ...["-chardev", `socket,id=qmp,path=${qmp},server=on,wait=off`, "-mon", "chardev=qmp,mode=control"],
      ...channel,
      ...drives.flatMap(driveArgs),
      ...cardArgs(config.card),
      ...["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-device,rng=rng"],
      ...(balloon === undefined
        ? []
        : ["-device", `virtio-balloon-device,free-page-reporting=${balloon.free_page_reporting ? "on" : "off"}`]),
      ...guest,
    ]);
    keepConsole(qemu, config.serial);
    qemu.once("exit", (code) => this.#options.onEnd(code ?? 1));
    this.#qmp = await connectQmp(qmp);
    // Ends of migrations are told of.
    await setCapabilities(this.#qmp, false);
    if (this.#options.vsockDevice !== undefined) return;
    this.#bridges = Object.entries(PORTS).map(
      ([name, port]) => new DialBridge(`${OWN_FOLDER}/${name}`, `${vsock.uds_path}_${port}`),
    );
  }

  async listen({ uds_path, guest_cid }: NonNullable<MachineConfiguration["vsock"]>): Promise<void> {
    const { vsockDevice } = this.#options;
    await mkdir(OWN_FOLDER, { recursive: true });
    if (vsockDevice === undefined) return void (await listenForHost(uds_path));
    this.#run(vsockDevice, ["--vm", `guest-cid=${guest_cid},socket=${OWN_FOLDER}/vsock,uds-path=${uds_path}`]);
    await waitForFile(`${OWN_FOLDER}/vsock`);
  }

  /** QEMU's arguments for the guest's way to its host. */
  #channel(): string[] {
    if (this.#options.vsockDevice !== undefined)
      return [
        "-chardev",
        `socket,id=vsock,path=${OWN_FOLDER}/vsock`,
        "-device",
        "vhost-user-vsock-device,chardev=vsock",
      ];
    return [
      ...["-device", "virtio-serial-device,max_ports=4"],
      ...Object.keys(PORTS).flatMap((name, index) => [
        ...["-chardev", `socket,id=port${index},path=${OWN_FOLDER}/${name},server=on,wait=off`],
        ...["-device", `virtserialport,chardev=port${index},name=${name},nr=${index + 1}`],
      ]),
    ];
  }

  #run(program: string, args: string[]): ChildProcess {
    // They are part of this fake: whatever ends it ends them.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    child.on("error", (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      this.#options.onEnd(1);
    });
    return child;
  }

  async pause(): Promise<void> {
    await this.#control().execute("stop");
  }

  async resume(): Promise<void> {
    await this.#control().execute("cont");
  }

  async changeDrive(driveId: string, path: string): Promise<void> {
    await this.#control().execute("block_resize", { device: driveId, size: (await stat(path)).size });
  }

  /** All of the machine is QEMU's migration stream, in the memory's file; the other has what it was configured with. */
  async save(memoryPath: string, statePath: string): Promise<void> {
    if (this.#options.vsockDevice !== undefined)
      throw new Error("the fake cannot save a machine with a vhost-user device: QEMU does not migrate it");
    const qmp = this.#control();
    // QEMU does not migrate a guest that has not run since it was last migrated.
    const { status } = (await qmp.execute("query-status")) as { status: string };
    if (status === "postmigrate") await Promise.all([qmp.execute("cont"), qmp.execute("stop")]);
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": SAVE_BYTES_PER_SECOND });
    await writeFile(statePath, JSON.stringify({ ...this.#config, serial: undefined }));
    await qmp.execute("migrate", { uri: `exec:cat > ${memoryPath}` });
    await awaitMigration(qmp);
    // Firecracker's file is as large as the memory; what comes behind the stream's end is not read.
    const memoryBytes = (this.#config?.["machine-config"].mem_size_mib ?? 0) * 1024 * 1024;
    if ((await stat(memoryPath)).size < memoryBytes) await truncate(memoryPath, memoryBytes);
    for (const bridge of this.#bridges) bridge.reset();
  }

  async load(memoryPath: string, statePath: string, overrides: LoadOverrides): Promise<void> {
    const config = JSON.parse(await readFile(statePath, "utf8")) as MachineConfiguration;
    if (overrides.vsockPath !== undefined && config.vsock !== undefined) config.vsock.uds_path = overrides.vsockPath;
    if (config.vsock !== undefined) await this.listen(config.vsock);
    await this.#launch({ ...config, ...(overrides.serial && { serial: overrides.serial }) }, [
      "-incoming",
      "defer",
      "-S",
    ]);
    const qmp = this.#control();
    await qmp.execute("migrate-incoming", { uri: `exec:cat ${memoryPath}` });
    await awaitMigration(qmp);
  }

  #control(): QmpClient {
    if (this.#qmp === undefined) throw new Error("the machine does not run");
    return this.#qmp;
  }
}

/** As Firecracker: the drive's serial is made of its file's numbers, at most 20 bytes, and says nothing of what it is for. */
function driveArgs({ drive_id, path_on_host, is_read_only }: DriveConfiguration): string[] {
  const { dev, rdev, ino } = statSync(path_on_host);
  const serial = `${dev}${rdev}${ino}`.slice(0, 20);
  const mode = is_read_only ? "readonly=on" : "cache=unsafe,discard=unmap";
  return [
    ...["-drive", `id=${drive_id},if=none,format=raw,file=${path_on_host},file.locking=off,${mode}`],
    ...["-device", `virtio-blk-device,drive=${drive_id},serial=${serial}`],
  ];
}

function cardArgs(card: MachineConfiguration["card"]): string[] {
  if (card === undefined) return [];
  const mac = card.guest_mac === undefined ? "" : `,mac=${card.guest_mac}`;
  return [
    ...["-netdev", `tap,id=card,ifname=${card.host_dev_name},script=no,downscript=no`],
    ...["-device", `virtio-net-device,netdev=card${mac}`],
  ];
}

/** Writes what the guest says where the request said, within its limit; what a full pipe does not take is lost, as with Firecracker. */
function keepConsole(qemu: ChildProcess, serial: MachineConfiguration["serial"]): void {
  const fd =
    serial?.serial_out_path === undefined
      ? 1
      : openSync(serial.serial_out_path, constants.O_RDWR | constants.O_NONBLOCK);
  const limit = serial?.rate_limiter;
  let tokens = limit === undefined ? Number.POSITIVE_INFINITY : limit.size + (limit.one_time_burst ?? 0);
  if (limit !== undefined)
    setInterval(() => {
      tokens = Math.max(tokens, limit.size);
    }, limit.refill_time).unref();
  qemu.stdout?.on("data", (chunk: Buffer) => {
    const taken = chunk.subarray(0, tokens);
    tokens -= taken.length;
    try {
      writeSync(fd, taken);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  });
  qemu.once("exit", () => {
    if (fd !== 1) closeSync(fd);
  });
}

async function waitForFile(file: string): Promise<void> {
  const deadline = Date.now() + QMP_DEADLINE_MS;
  while ((await stat(file).catch(() => undefined)) === undefined) {
    if (Date.now() > deadline) throw new Error(`${file} does not appear`);
    await sleep(5);
  }
}

async function connectQmp(path: string): Promise<QmpClient> {
  const deadline = Date.now() + QMP_DEADLINE_MS;
  for (;;) {
    const qmp = await QmpClient.connect(path, 5_000).catch(() => undefined);
    if (qmp !== undefined) return qmp;
    if (Date.now() > deadline) throw new Error("QEMU does not start");
    await sleep(5);
  }
}
