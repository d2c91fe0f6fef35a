import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { Approved } from "./approved.ts";
import type { Calls } from "./calls.ts";
import type { Coalesced } from "./coalesce.ts";
import type { CallLimits } from "./limits.ts";
import type { Managed } from "./managed.ts";
import type { ServerRecord } from "./server-store.ts";

/** One server of the gateway, with all that is of it. */
export interface Entry {
  record: ServerRecord;
  managed: Managed;
  /** By the session whose VM it is; undefined is the shared one. */
  calls: Map<string | undefined, Calls>;
  limits: CallLimits;
  /** What of it has been approved; nothing before that has been looked at. */
  approved: Approved;
  /** By the session, as `calls`: what asks anew for what is offered. */
  relisting: Map<string | undefined, Coalesced>;
  failure?: FirebreakError;
  preparing: number;
}
