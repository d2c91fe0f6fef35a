import { type CheckRequest, checkDefinitions } from "../../src/gateway/scan/check.ts";

/** `severity code where` of each finding about one tool, which is harmless but for what is given. */
export function scanTool(tool: Record<string, unknown>, around: Partial<CheckRequest> = {}): string[] {
  const whole = { name: "harmless", description: "Adds two numbers.", inputSchema: { type: "object" }, ...tool };
  return scan({ ...around, tools: [whole, ...(around.tools ?? [])] });
}

export function scan(request: Partial<CheckRequest>): string[] {
  return checkDefinitions({ server: "files", ...request }).map(({ severity, code, where }) =>
    `${severity} ${code} ${where}`.trim(),
  );
}

/** The severity of a rule's gravest finding about a description; undefined for none. */
export function scanDescription(code: string, description: string): string | undefined {
  return scanTool({ description })
    .map((found) => found.split(" "))
    .find(([, found]) => found === code)?.[0];
}
