import type { Admission } from "./admission.ts";
import type { IdleWatch } from "./idle.ts";
import type { Lifetimes } from "./lifetimes.ts";
import type { LiveVms } from "./live-vms.ts";
import type { Locks } from "./locks.ts";
import type { PlanRunner } from "./plan-runner.ts";
import type { Roster } from "./roster.ts";
import type { VmServiceOptions } from "./service-options.ts";
import type { Sources } from "./sources.ts";
import type { VmSteps } from "./steps.ts";

/** What the parts of VmService share: one of each for all VMs of a daemon. */
export interface VmParts extends VmServiceOptions {
  admission: Admission;
  roster: Roster;
  locks: Locks;
  liveVms: LiveVms;
  idle: IdleWatch;
  lifetimes: Lifetimes;
  sources: Sources;
  steps: VmSteps;
  runner: PlanRunner;
}
