import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { VmService } from "../vms/service.ts";

/** What guests get to shut down in when they are stopped with the daemon. */
const STOP_GRACE_MS = 5_000;

/** Suspends or stops what runs, all at once; one that cannot is left as it is, and named. */
export async function settleVms(
  vms: VmService,
  how: "suspend" | "stop",
  log: (message: string, fields: Record<string, unknown>) => void,
): Promise<void> {
  vms.callOffTimers();
  const active = vms.list().filter(({ state }) => state === "running" || (how === "stop" && state === "paused"));
  await Promise.all(
    active.map(({ id, name }) =>
      (how === "suspend" ? vms.suspend(id) : vms.stop(id, STOP_GRACE_MS, { staysWanted: true })).catch(
        (error: unknown) =>
          log(`a VM could not be made to ${how}`, { vm: name, error: toFirebreakError(error).message }),
      ),
    ),
  );
}
