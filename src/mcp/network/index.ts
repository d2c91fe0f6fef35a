import type { AnyTool } from "../tool.ts";
import { egressLog } from "./egress-log.ts";
import { vmPolicyGet } from "./vm-policy-get.ts";
import { vmPolicySet } from "./vm-policy-set.ts";

/** What VMs may reach, and what they try to. */
export const networkTools: readonly AnyTool[] = [vmPolicyGet, vmPolicySet, egressLog];
