import type { AnyTool } from "../tool.ts";
import { auditList } from "./audit-list.ts";
import { eventList } from "./event-list.ts";
import { vmEstimateCost } from "./vm-estimate-cost.ts";
import { vmLogs } from "./vm-logs.ts";
import { vmStats } from "./vm-stats.ts";
import { vmWait } from "./vm-wait.ts";

/** How VMs do. */
export const monitorTools: readonly AnyTool[] = [vmLogs, eventList, auditList, vmStats, vmWait, vmEstimateCost];
