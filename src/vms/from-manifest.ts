import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { StartFrom, VmRecord } from "./vm-store.ts";

/** A VM's machine is that of its snapshots for its life: one that says otherwise is of no VM of ours. */
export function requireSameMachine(record: VmRecord, { id, machine, imageDigest }: Manifest): void {
  const { memoryMib, cpus, driver } = machine;
  const isSame =
    record.memoryMib === memoryMib &&
    record.cpus === cpus &&
    record.driver === driver &&
    record.imageDigest === imageDigest;
  if (!isSame)
    throw new FirebreakError("SNAPSHOT_CORRUPT", `the snapshot ${id} is not of the VM '${record.name}', as it says`);
}

/** The part of a VM that its snapshot determines. */
export function fromManifest(manifest: Manifest) {
  const { machine, image, imageDigest, kernelId } = manifest;
  return {
    image,
    imageDigest,
    kernelId,
    memoryMib: machine.memoryMib,
    cpus: machine.cpus,
    diskMib: machine.diskMib,
    driver: machine.driver,
    accelRequest: machine.accel,
    ephemeral: false,
    env: manifest.vm?.env ?? {},
    policy: manifest.policy,
    secrets: manifest.vm?.secrets ?? [],
    ...(manifest.vm === undefined ? {} : { authority: manifest.vm.authority ?? manifest.vm.id }),
    ...(manifest.vm?.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: manifest.vm.idleTimeoutMs }),
    startFrom: { from: "snapshot", id: manifest.id, isFork: true } as StartFrom,
  };
}
