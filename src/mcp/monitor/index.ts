import type { AnyTool } from "../tool.ts";
import { vmEstimateCost } from "./vm-estimate-cost.ts";
import { vmEvents } from "./vm-events.ts";
import { vmLogs } from "./vm-logs.ts";
import { vmStats } from "./vm-stats.ts";
import { vmWait } from "./vm-wait.ts";

/** How VMs do. */
export const monitorTools: readonly AnyTool[] = [vmLogs, vmEvents, vmStats, vmWait, vmEstimateCost];
