import { z } from "zod";
import { egressPageSchema, MAX_EGRESS_PAGE, vmPolicySchema, vmPolicySetSchema } from "../egress.ts";
import { probeResultSchema } from "../probe.ts";
import { vmSchema } from "../vm.ts";
import { count, flag, json, jsonBody, lines, type Route } from "./route.ts";

export const egressRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/egress",
    summary: "What VMs have tried to reach, and what became of it, the oldest first",
    query: z.object({
      vm: z.string().optional().describe("of one VM only, by name, or by id once it is deleted"),
      after: count("the id of the last event that is known; without it the newest are answered"),
      limit: z.number().int().min(1).max(MAX_EGRESS_PAGE).optional().describe("events at most"),
      follow: flag("go on with what comes, as lines"),
    }),
    answer: {
      ...json(egressPageSchema),
      also: {
        "application/x-ndjson":
          "with `follow=true`: a line `{event}` each, without end, a connection's when it begins and when it has ended; `{skipped: N}` for those that a slow reader has missed",
      },
    },
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/probe",
    summary: "Tries to get out of a VM, from within it, and tells what did",
    answer: lines(probeResultSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/policy",
    summary: "What a VM may reach",
    answer: json(vmPolicySchema),
  },
  {
    method: "PUT",
    path: "/v1/vms/:vm/policy",
    summary: "Changes what a VM may reach, as it runs; connections that both policies allow go on",
    body: jsonBody(vmPolicySetSchema),
    answer: json(vmSchema),
  },
];
