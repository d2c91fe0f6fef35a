import type { AccelName, VmmConfig } from "../driver.ts";

/** Sockets in a VM's runtime folder. */
export const SOCKET_NAMES = { qmp: "qmp", control: "control", console: "console" } as const;

/** Descriptors that the VMM inherits: its user may not reach the files by their paths. */
export interface InheritedFds {
  kernel: number;
  initrd: number;
  /** In the order of VmmConfig.drives. */
  drives: number[];
}

export interface CommandLineInput {
  config: VmmConfig;
  fds: InheritedFds;
  /** Host TSC frequency; TCG shows the guest the host's TSC. */
  tscKhz: number | undefined;
}

/**
 * QEMU's arguments for a microVM. Each device's place in the list is part of every snapshot taken of it: append, never reorder.
 * Options and their traps are measured: `acpi=on` because the stock kernel has virtio-mmio as a module without command-line devices;
 * `tsc_early_khz` because calibration under TCG sometimes never ends.
 */
export function buildQemuArgs({ config, fds, tscKhz }: CommandLineInput): string[] {
  const socket = (name: string) => `path=${escapeComma(`${config.runtimeDir}/${name}`)},server=on,wait=off`;
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // QEMU names the process after the VM, so that `ps` tells which is which.
    ...["-name", `firebreak-${config.vmId},process=firebreak-vm`],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...["-M", "microvm,acpi=on,isa-serial=off,pit=off,pic=off,rtc=on", ...accelArgs(config.accel)],
    ...["-smp", String(config.cpus), "-m", String(config.memoryMib)],
    ...["-chardev", `socket,id=qmp,${socket(SOCKET_NAMES.qmp)}`, "-mon", "chardev=qmp,mode=control"],
    ...["-device", "virtio-serial-device,max_ports=4"],
    ...["-chardev", `socket,id=console,${socket(SOCKET_NAMES.console)}`, "-device", "virtconsole,chardev=console,nr=0"],
    ...["-chardev", `socket,id=control,${socket(SOCKET_NAMES.control)}`],
    ...["-device", "virtserialport,chardev=control,name=agent.control,nr=1"],
    ...config.drives.flatMap((drive, index) =>
      driveArgs(drive.serial, drive.readOnly, fds.drives[index] as number, index),
    ),
    ...["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-device,rng=rng"],
    ...["-kernel", `/proc/self/fd/${fds.kernel}`, "-initrd", `/proc/self/fd/${fds.initrd}`],
    ...["-append", kernelCommandLine(config, tscKhz)],
  ];
}

/**
 * Under TCG the guest must not believe in fast string instructions: QEMU emulates `rep movsb` byte by byte, and kernel and C library
 * would copy with it (bulk output through the channel is some three times faster without).
 */
function accelArgs(accel: AccelName): string[] {
  return accel === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg", "-cpu", "max,-erms,-fsrm"];
}

function driveArgs(serial: string, readOnly: boolean, fd: number, index: number): string[] {
  const set = index + 1;
  // werror=report: a full host disk is an I/O error in the guest; the default would stop the VM without a word.
  // Locks are off because descriptors are shared by dup; the store keeps two VMs from one drive.
  const options = [
    `id=d${index}`,
    "if=none",
    "format=raw",
    `file=/dev/fdset/${set}`,
    "file.locking=off",
    ...(readOnly
      ? ["readonly=on"]
      : ["auto-read-only=off", "cache=unsafe", "discard=unmap", "detect-zeroes=unmap", "werror=report"]),
  ];
  return [
    ...["-add-fd", `fd=${fd},set=${set},opaque=${serial}`],
    ...["-drive", options.join(","), "-device", `virtio-blk-device,drive=d${index},serial=${serial}`],
  ];
}

function kernelCommandLine(config: VmmConfig, tscKhz: number | undefined): string {
  const clock =
    config.accel === "tcg" && tscKhz !== undefined ? [`tsc_early_khz=${tscKhz}`, "tsc=reliable", "no_timer_check"] : [];
  // panic=-1 with -no-reboot: a guest that panics ends its VMM at once, which the daemon hears.
  return [
    "console=hvc0",
    "quiet",
    "loglevel=4",
    "panic=-1",
    "random.trust_cpu=on",
    ...clock,
    ...config.kernelArgs,
  ].join(" ");
}

/** QEMU's option parser splits at commas; a comma in a value is doubled. */
function escapeComma(value: string): string {
  return value.replaceAll(",", ",,");
}
