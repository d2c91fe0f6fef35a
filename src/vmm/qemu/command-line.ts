import type { AccelName, AttachedDrive, MachineConfig, NetworkCard, VmmConfig } from "../driver.ts";

/** Sockets in a VM's runtime folder. */
export const SOCKET_NAMES = { qmp: "qmp", control: "control", console: "console", egress: "egress" } as const;

/** A recorder has this one besides. */
export const RECORDER_SOCKET = "in";

/** The descriptor of the exchange folder, in every QEMU that has one. */
export const EXCHANGE_FD = 3;

/** How a guest gets into the machine, and where its memory is. */
export type Launch =
  /** A boot; its memory is anonymous. */
  | { kind: "boot"; config: VmmConfig; tscKhz: number | undefined }
  /** A boot whose memory is a file that outlives it. */
  | { kind: "template"; config: VmmConfig; tscKhz: number | undefined }
  /** A saved machine with a private copy of a file's memory. */
  | { kind: "restore"; config: MachineConfig }
  /** Takes a machine over from another QEMU, into a file's memory, and never runs it. */
  | { kind: "record"; config: MachineConfig };

/** Descriptors that the VMM inherits: its user may not reach the files by their paths. */
export interface InheritedFds {
  /** Of a boot. */
  kernel?: number;
  initrd?: number;
  /** The file that holds the memory; none for a boot. */
  memory?: number;
  /** In the order of MachineConfig.drives. */
  drives: number[];
  /** In the order of MachineConfig.attached. */
  attached?: number[];
  /** The open TAP device. */
  tap?: number;
}

/**
 * QEMU's arguments for a microVM. Each device's place in the list is part of every snapshot taken of it: append, never reorder.
 * Options and their traps are measured: `acpi=on` because the stock kernel has virtio-mmio as a module without command-line devices;
 * `tsc_early_khz` because calibration under TCG sometimes never ends.
 */
export function buildQemuArgs(launch: Launch, fds: InheritedFds): string[] {
  const { config } = launch;
  const socket = (name: string) => `path=${escapeComma(`${config.runtimeDir}/${name}`)},server=on,wait=off`;
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // QEMU names the process after the VM, so that `ps` tells which is which.
    ...["-name", `firebreak-${config.vmId},process=firebreak-vm`],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...["-M", `${MACHINE},memory-backend=memory`, ...accelArgs(config.accel)],
    ...["-object", memoryBackend(launch, fds)],
    ...["-smp", String(config.cpus), "-m", String(config.memoryMib)],
    ...["-chardev", `socket,id=qmp,${socket(SOCKET_NAMES.qmp)}`, "-mon", "chardev=qmp,mode=control"],
    ...["-device", SERIAL],
    ...["-chardev", `socket,id=console,${socket(SOCKET_NAMES.console)}`, "-device", CONSOLE],
    ...["-chardev", `socket,id=control,${socket(SOCKET_NAMES.control)}`],
    ...["-device", CONTROL],
    ...config.drives.flatMap((drive, index) =>
      driveArgs(drive.serial, drive.readOnly, fds.drives[index] as number, index),
    ),
    ...["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", RNG],
    ...["-device", CONTROLLER],
    ...["-chardev", `socket,id=egress,${socket(SOCKET_NAMES.egress)}`],
    ...["-device", EGRESS],
    ...cardArgs(config.card, fds.tap),
    ...(config.attached ?? []).flatMap((drive, index) => attachedArgs(drive, fds.attached?.[index] as number)),
    ...guestArgs(launch, fds),
  ];
}

const SERIAL = "virtio-serial-device,max_ports=4";
const CONSOLE = "virtconsole,chardev=console,nr=0";
const CONTROL = "virtserialport,chardev=control,name=agent.control,nr=1";
const DRIVE = "virtio-blk-device";
const RNG = "virtio-rng-device,rng=rng";
/** What drives are plugged into while a guest runs: virtio-mmio has no hotplug, SCSI has. Its guest has no driver for it before the first. */
const CONTROLLER = "virtio-scsi-device,id=attached";
/** By this the guest asks for ways out. */
const EGRESS = "virtserialport,chardev=egress,name=agent.egress,nr=2";
/**
 * What a guest has a network by, where its policy wants one; in all others it is plugged into nothing, and has no driver. What its other end can do is
 * part of a snapshot: nothing that TAP devices can and others cannot.
 */
const CARD =
  "virtio-net-device,id=card,mac=0a:fb:00:00:00:00,csum=off,guest_csum=off,gso=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off";
const DEVICES = [SERIAL, CONSOLE, CONTROL, DRIVE, RNG, CONTROLLER, EGRESS, CARD];

const MACHINE = "microvm,acpi=on,isa-serial=off,pit=off,pic=off,rtc=on";

/**
 * On a full host disk a machine stands still, until there is room again (VmmDriver.onDiskFull): an I/O error would have its guest's file systems read-only
 * for good. Other errors are the guest's.
 */
const WRITE_ERRORS = "enospc";

/**
 * Locks are off because descriptors are shared by dup; the store keeps two VMs from one drive. Without drop-cache=off a restored machine, as it takes
 * its drives over, has all pages of their files written to the disk and forgotten, lest another host had changed them: 0.15 s of a processor for
 * each fork, and the image is to be read anew.
 */
const FILE = { locking: "off", "drop-cache": false } as const;

/** The name of a drive for QEMU's control socket. */
export function driveId(serial: string): string {
  return `drive-${serial}`;
}

/** The names of an attached drive, as a device and as what is behind it. */
export function attachedIds(serial: string): { device: string; node: string } {
  return { device: `disk-${serial}`, node: `attached-${serial}` };
}

/** What is behind an attached drive. It outlives its VMs, so what a guest has flushed is on the host's disk. */
export function attachedNode(drive: AttachedDrive, filename: string): Record<string, unknown> {
  const access = { "read-only": drive.readOnly, discard: drive.readOnly ? "ignore" : "unmap" };
  return {
    driver: "raw",
    "node-name": attachedIds(drive.serial).node,
    ...access,
    ...(drive.readOnly ? {} : { "detect-zeroes": "unmap" }),
    file: { driver: "file", filename, ...FILE, ...access },
  };
}

/** The device that the guest sees. */
export function attachedDevice(drive: AttachedDrive): Record<string, unknown> {
  const { device, node } = attachedIds(drive.serial);
  return {
    driver: "scsi-hd",
    id: device,
    bus: "attached.0",
    "scsi-id": drive.slot,
    lun: 0,
    drive: node,
    serial: drive.serial,
    werror: WRITE_ERRORS,
    rerror: "report",
  };
}

function attachedArgs(drive: AttachedDrive, fd: number): string[] {
  // Sets of the other drives are numbered from 1 on.
  const set = 100 + drive.slot;
  return [
    ...["-add-fd", `fd=${fd},set=${set},opaque=${drive.serial}`],
    ...["-blockdev", JSON.stringify(attachedNode(drive, `/dev/fdset/${set}`))],
    ...["-device", JSON.stringify(attachedDevice(drive))],
  ];
}

/** The memory has one name in every launch: a saved machine finds its own by it. */
function memoryBackend({ kind, config }: Launch, fds: InheritedFds): string {
  if (kind === "boot") return `memory-backend-ram,id=memory,size=${config.memoryMib}M`;
  const share = kind === "restore" ? "off" : "on";
  return `memory-backend-file,id=memory,size=${config.memoryMib}M,mem-path=/proc/self/fd/${fds.memory},share=${share}`;
}

/**
 * Where a recorder takes a machine over. It opens the socket at its start: later its folder is not its own any more.
 */
export function recorderUri(runtimeDir: string): string {
  return `unix:${runtimeDir}/${RECORDER_SOCKET}`;
}

function guestArgs(launch: Launch, fds: InheritedFds): string[] {
  if (launch.kind === "restore") return ["-incoming", "defer"];
  if (launch.kind === "record") return ["-incoming", recorderUri(launch.config.runtimeDir), "-S"];
  return [
    ...["-kernel", `/proc/self/fd/${fds.kernel}`, "-initrd", `/proc/self/fd/${fds.initrd}`],
    ...["-append", kernelCommandLine(launch.config, launch.tscKhz)],
  ];
}

/** Of translated code that QEMU keeps: its default of 1 GiB fills up in a guest that starts many programs, whatever the guest's memory. */
const TRANSLATION_MIB = 256;

/**
 * Under TCG the guest must not believe in fast string instructions: QEMU emulates `rep movsb` byte by byte, and kernel and C library
 * would copy with it (bulk output through the channel is some three times faster without).
 */
function accelArgs(accel: AccelName): string[] {
  const program = accel === "kvm" ? "kvm" : `tcg,tb-size=${TRANSLATION_MIB}`;
  return ["-accel", program, "-cpu", CPUS[accel]];
}

const CPUS = { kvm: "host", tcg: "max,-erms,-fsrm" } as const;

/** All of a machine that its guest can see but for its size and its drives' number: a saved machine goes on in an equal one only. */
export function describeMachine(accel: AccelName): string {
  return [MACHINE, accel, CPUS[accel], ...DEVICES].join(" ");
}

function driveArgs(serial: string, readOnly: boolean, fd: number, index: number): string[] {
  const set = index + 1;
  const options = [
    `id=${driveId(serial)}`,
    "if=none",
    "format=raw",
    `file=/dev/fdset/${set}`,
    `file.locking=${FILE.locking}`,
    `file.drop-cache=${FILE["drop-cache"] ? "on" : "off"}`,
    ...(readOnly
      ? ["readonly=on"]
      : ["auto-read-only=off", "cache=unsafe", "discard=unmap", "detect-zeroes=unmap", `werror=${WRITE_ERRORS}`]),
  ];
  return [
    ...["-add-fd", `fd=${fd},set=${set},opaque=${serial}`],
    ...["-drive", options.join(","), "-device", `${DRIVE},drive=${driveId(serial)},serial=${serial}`],
  ];
}

function cardArgs(card: NetworkCard | undefined, tap: number | undefined): string[] {
  if (card === undefined) return ["-device", CARD];
  const backend = card.kind === "tap" ? `tap,id=net,fd=${tap}` : "user,id=net";
  return ["-netdev", backend, "-device", `${CARD},netdev=net`];
}

/**
 * What the kernel of `kernel build` does not have in the first place, a distribution's need not do at each call: security modules without a policy
 * (Landlock stays, by which agents confine their commands), pressure figures, a scheduler that groups by sessions.
 */
const LEAN_KERNEL = ["lsm=landlock", "psi=0", "noautogroup"];

function kernelCommandLine(config: VmmConfig, tscKhz: number | undefined): string {
  const clock =
    config.accel === "tcg" && tscKhz !== undefined ? [`tsc_early_khz=${tscKhz}`, "tsc=reliable", "no_timer_check"] : [];
  // An emulated processor speculates nothing. QEMU's translations are of addresses: a program that is somewhere else each time is translated each time.
  const emulated = config.accel === "tcg" ? ["mitigations=off", "norandmaps"] : [];
  // panic=-1 with -no-reboot: a guest that panics ends its VMM at once, which the daemon hears.
  return [
    "console=hvc0",
    "quiet",
    "loglevel=4",
    "panic=-1",
    "random.trust_cpu=on",
    ...LEAN_KERNEL,
    ...clock,
    ...emulated,
    ...config.kernelArgs,
  ].join(" ");
}

/** QEMU's option parser splits at commas; a comma in a value is doubled. */
function escapeComma(value: string): string {
  return value.replaceAll(",", ",,");
}
