import { z } from "zod";

/** What has been found in the definitions that an MCP server offers. */

export const SEVERITIES = ["info", "warning", "danger"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const DEFINITION_KINDS = ["tool", "prompt", "resource", "resource_template"] as const;
/** What a server defines. */
export type DefinitionKind = (typeof DEFINITION_KINDS)[number];

export const findingSchema = z.object({
  code: z.string().describe("the rule, such as `hidden_text`; docs/scan.md lists them"),
  severity: z.enum(SEVERITIES),
  server: z.string(),
  kind: z.enum([...DEFINITION_KINDS, "server"]),
  subject: z.string().describe("name of the tool or prompt, URI of the resource, hidden characters written out"),
  message: z.string().describe("a sentence; what is quoted from the server has its hidden characters written out"),
  where: z.string().describe("which member of the definition, such as `inputSchema.properties.path.description`"),
});
export type Finding = z.infer<typeof findingSchema>;

/** The gravest of some findings, `ok` when there is none above info. */
export function verdictOf(findings: readonly Pick<Finding, "severity">[]): "ok" | "warning" | "danger" {
  if (findings.some(({ severity }) => severity === "danger")) return "danger";
  return findings.some(({ severity }) => severity === "warning") ? "warning" : "ok";
}
