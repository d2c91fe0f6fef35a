import type { AttachedDriveInfo } from "../contract/attachment.ts";
import type { Vm } from "../contract/vm.ts";
import type { VmRecord } from "./vm-store.ts";

/** The form in which the API shows a VM; `exposedSecrets` are those whose values it has, `mountProblems` are reasons by guest path. */
export function toVm(
  record: VmRecord,
  drives: readonly AttachedDriveInfo[],
  exposedSecrets: readonly string[] = [],
  mountProblems: ReadonlyMap<string, string> = new Map(),
): Vm {
  const isLive = record.vmm !== undefined;
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    image: record.image,
    imageDigest: record.imageDigest,
    kernelId: record.kernelId,
    memoryMib: record.memoryMib,
    cpus: record.cpus,
    diskMib: record.diskMib,
    driver: record.driver,
    ...(isLive ? { accel: record.vmm?.accel, pid: record.vmm?.pid } : {}),
    ...(isLive && record.accelReason !== undefined ? { accelReason: record.accelReason } : {}),
    origin: record.origin,
    ...(record.snapshot === undefined ? {} : { snapshot: record.snapshot }),
    ...(record.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: record.idleTimeoutMs }),
    network: record.policy,
    secrets: record.secrets,
    ...(exposedSecrets.length === 0 ? {} : { exposedSecrets }),
    drives,
    mounts: record.mounts.map((mount) => {
      const reason = mountProblems.get(mount.guestPath);
      return { ...mount, ...(reason === undefined ? {} : { reason }) };
    }),
    labels: record.labels,
    restart: record.restart,
    restartCount: record.restartCount,
    ...(record.expiresAt === undefined ? {} : { expiresAt: record.expiresAt }),
    onExpiry: record.onExpiry,
    ephemeral: record.ephemeral,
    createdAt: record.createdAt,
    ...(record.startedAt === undefined ? {} : { startedAt: record.startedAt }),
    ...(record.bootMs === undefined ? {} : { bootMs: record.bootMs }),
  } as Vm;
}
