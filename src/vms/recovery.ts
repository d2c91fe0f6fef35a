import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import type { Sources } from "./sources.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

/** What a VM's recovery does things with. */
export interface RecoveryParts {
  driver: VmmDriver;
  store: VmStore;
  sources: Sources;
  log: (message: string, fields: Record<string, unknown>) => void;
  endVmm: (record: VmRecord) => Promise<void>;
  /** Attaches to a VMM that runs. */
  open: (record: VmRecord) => void;
  note: (record: VmRecord, kind: string, data: Record<string, unknown>) => void;
  remove: (record: VmRecord) => Promise<void>;
}

/** Brings one VM's row and the host to agree after a daemon's end: finds it again, finishes what was begun, or names what was lost. */
export async function recoverVm(record: VmRecord, parts: RecoveryParts): Promise<void> {
  const { driver, store, sources, log } = parts;
  // Nobody is left who could see an ephemeral VM's command end.
  if (record.state === "deleting" || record.ephemeral) return parts.remove(record);
  const suspension = sources.suspension(record);
  await suspension.sweep();
  const isAlive = record.vmm !== undefined && (await driver.isAlive(record.vmm));
  const mayGoOn = record.state === "running" || record.state === "paused" || record.state === "suspending";
  if (isAlive && mayGoOn) {
    const wanted = record.state === "paused" ? "paused" : "running";
    await driver.settle(record.vmm as NonNullable<VmRecord["vmm"]>, wanted).catch((error: unknown) =>
      // Whoever uses it hears that it does not answer, and can delete it.
      log("a VMM does not answer", { vm: record.name, error: toFirebreakError(error).message }),
    );
    await suspension.delete(record.id);
    parts.open(store.update(record.id, { state: wanted }));
    parts.note(record, "adopted", {});
    return;
  }
  if (record.state === "suspended") return;
  if (record.state === "created" || record.state === "stopped" || record.state === "crashed") {
    await discardStaleSuspension(record, sources);
    return;
  }
  await parts.endVmm(record);
  if (record.state === "suspending" && (await suspension.get(record.id).catch(() => undefined)) !== undefined) {
    store.update(record.id, { state: "suspended", startFrom: { from: "suspension" } });
    parts.note(record, "suspended", {});
    return;
  }
  await discardStaleSuspension(record, sources);
  const state = record.state === "stopping" ? "stopped" : "crashed";
  const reason =
    record.state === "running" || record.state === "paused"
      ? "its VMM ended while no daemon ran"
      : `the daemon ended while it was ${record.state}`;
  store.update(record.id, { state, reason: state === "stopped" ? undefined : reason });
  parts.note(record, state, { reason });
}

/** A drive that has gone on without the memory of a suspension must never meet it again. */
export async function discardStaleSuspension(record: VmRecord, sources: Sources): Promise<void> {
  if (record.startFrom.from !== "suspension") await sources.discardSuspension(record);
}
