import { z } from "zod";

/** What a probe of a VM's ways out has found. */
export const probeFindingSchema = z.object({
  probe: z.string().describe("what was tried"),
  target: z.string(),
  isOut: z.boolean().describe("it got out"),
  isExpected: z.boolean().describe("as the policy has it"),
  detail: z.string(),
  durationMs: z.number(),
});
export type ProbeFinding = z.infer<typeof probeFindingSchema>;

export const probeResultSchema = z.object({
  vm: z.string(),
  isTight: z.boolean().describe("nothing got out but what the policy allows, and that did"),
  findings: z.array(probeFindingSchema),
});
export type ProbeResult = z.infer<typeof probeResultSchema>;
