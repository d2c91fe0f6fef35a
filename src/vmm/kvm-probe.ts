import type { BootFiles, VmmConfig } from "./driver.ts";

/** A guest on working KVM says its first word within about half a second; one that has not by then (ms) will not. */
const DEFAULT_DEADLINE_MS = 1_700;

/** FIREBREAK_KVM_PROBE_MS is for hosts whose KVM works and is slow, as one is that is emulated itself. What is no such number is passed over. Pure. */
export function probeDeadline(given: string | undefined): number {
  return given !== undefined && /^[1-9]\d{0,5}$/.test(given) ? Number(given) : DEFAULT_DEADLINE_MS;
}

export const PROBE_DEADLINE_MS = probeDeadline(process.env.FIREBREAK_KVM_PROBE_MS);
/** What a probe says of a KVM in which guests hang. */
export const KVM_HANGS = `/dev/kvm opens, but a guest in it says nothing within ${PROBE_DEADLINE_MS} ms`;

/** The machine that a probe for KVM starts: the real kernel and agent, and nothing else. */
export function probeConfig(boot: BootFiles, place: Pick<VmmConfig, "runtimeDir" | "logPath" | "uid">): VmmConfig {
  return {
    ...boot,
    ...place,
    vmId: "probe",
    memoryMib: 128,
    cpus: 1,
    accel: "kvm",
    kernelArgs: [...boot.kernelArgs, "firebreak.probe"],
    drives: [],
  };
}
