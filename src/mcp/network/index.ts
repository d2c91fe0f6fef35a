import type { AnyTool } from "../tool.ts";
import { egressLog } from "./egress-log.ts";
import { networkSetup } from "./network-setup.ts";
import { networkStatus } from "./network-status.ts";
import { networkTeardown } from "./network-teardown.ts";
import { vmPolicyGet } from "./vm-policy-get.ts";
import { vmPolicySet } from "./vm-policy-set.ts";
import { vmProbe } from "./vm-probe.ts";

/** What VMs may reach, and what they try to. */
export const networkTools: readonly AnyTool[] = [
  vmPolicyGet,
  vmPolicySet,
  egressLog,
  vmProbe,
  networkStatus,
  networkSetup,
  networkTeardown,
];
