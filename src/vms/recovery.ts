import { toFirebreakError } from "../errors/firebreak-error.ts";
import { ranFor } from "./exits.ts";
import type { VmParts } from "./parts.ts";
import type { Sources } from "./sources.ts";
import type { VmRecord } from "./vm-store.ts";

/** What the recovery of VMs does things with. */
export interface RecoveryParts
  extends Pick<
    VmParts,
    "drivers" | "store" | "sources" | "log" | "steps" | "liveVms" | "lifetimes" | "roster" | "mounts"
  > {
  remove: (record: VmRecord) => Promise<void>;
}

/** See `VmService.recover`. */
export async function recoverVms(parts: RecoveryParts): Promise<void> {
  const { store, lifetimes, log } = parts;
  const before = new Map(store.list().map((record) => [record.id, record]));
  // At once: one whose VMM does not answer is not to keep the others waiting.
  await Promise.all(
    store.list().map((record) =>
      recoverVm(record, parts).catch((error: unknown) => {
        log("a VM could not be recovered", { vm: record.name, error: toFirebreakError(error).message });
      }),
    ),
  );
  for (const record of store.list()) {
    lifetimes.watch(record);
    if (record.state === "crashed" || record.state === "stopped")
      lifetimes.afterEnd(record.id, {
        isFailure: record.state === "crashed",
        ranMs: ranFor(before.get(record.id), Date.now()),
      });
  }
}

/** Brings one VM's row and the host to agree after a daemon's end: finds it again, finishes what was begun, or names what was lost. */
async function recoverVm(record: VmRecord, parts: RecoveryParts): Promise<void> {
  const { drivers, store, sources, log, steps, liveVms, roster } = parts;
  // Nobody is left who could see an ephemeral VM's command end.
  if (record.state === "deleting" || record.ephemeral) return parts.remove(record);
  const suspension = sources.suspension(record);
  await suspension.sweep();
  const { vmm } = record;
  const isAlive = vmm !== undefined && (await drivers.of(vmm).isAlive(vmm));
  const mayGoOn = record.state === "running" || record.state === "paused" || record.state === "suspending";
  if (isAlive && mayGoOn) {
    const wanted = record.state === "paused" ? "paused" : "running";
    await drivers
      .of(vmm)
      .settle(vmm, wanted)
      .catch((error: unknown) =>
        // Whoever uses it hears that it does not answer, and can delete it.
        log("a VMM does not answer", { vm: record.name, error: toFirebreakError(error).message }),
      );
    await suspension.delete(record.id);
    const { client, signal } = liveVms.open(store.keep(record.id, { state: wanted }));
    parts.mounts?.resume(record, { client, signal, features: record.agent?.features ?? [] });
    roster.note(record, "adopted", {});
    return;
  }
  if (record.state === "suspended") return;
  if (record.state === "created" || record.state === "stopped" || record.state === "crashed") {
    await discardStaleSuspension(record, sources);
    return;
  }
  await steps.run({ kind: "end_vmm" }, { record, options: {} });
  if (record.state === "suspending" && (await suspension.get(record.id).catch(() => undefined)) !== undefined) {
    store.keep(record.id, { state: "suspended", startFrom: { from: "suspension" } });
    roster.note(record, "suspended", {});
    return;
  }
  await discardStaleSuspension(record, sources);
  const state = record.state === "stopping" ? "stopped" : "crashed";
  const reason =
    record.state === "running" || record.state === "paused"
      ? "its VMM ended while no daemon ran"
      : `the daemon ended while it was ${record.state}`;
  store.keep(record.id, { state, reason: state === "stopped" ? undefined : reason });
  roster.note(record, state, { reason });
}

/** A drive that has gone on without the memory of a suspension must never meet it again. */
export async function discardStaleSuspension(record: VmRecord, sources: Sources): Promise<void> {
  if (record.startFrom.from !== "suspension") await sources.discardSuspension(record);
}
