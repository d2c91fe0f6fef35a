import { FirebreakError } from "../errors/firebreak-error.ts";
import type { VmRecord } from "./vm-store.ts";

/** A disk was asked for that is smaller than what it is to be made from. */
export function cannotShrink(what: string, diskMib: number): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `the disk of ${what} has ${diskMib} MiB and cannot shrink`, {
    details: { field: "diskMib" },
  });
}

/** Why a VM cannot be used in the state it is in, and what would help. */
export function notRunning(record: VmRecord): FirebreakError {
  const why = record.reason === undefined ? "" : ` (${record.reason})`;
  const hint =
    record.state === "starting"
      ? "Wait until it runs."
      : record.state === "paused" || record.state === "suspended"
        ? `Let it go on: firebreak vm resume ${record.name}`
        : `Start it: firebreak vm start ${record.name}`;
  return new FirebreakError("VM_STATE_CONFLICT", `the VM '${record.name}' is ${record.state}${why}`, {
    hint,
    details: { state: record.state },
  });
}
