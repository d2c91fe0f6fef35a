import { toJsonSchema } from "../../src/mcp/arguments.ts";
import type { AnyTool, ToolHints } from "../../src/mcp/tool.ts";
import { DEFAULT_TOOLSETS, TOOLSETS } from "../../src/mcp/toolsets.ts";
import { fieldTable, type JsonSchema } from "./schema.ts";

const HEAD = `# MCP tools

Each tool of firebreak's MCP server, by toolset (\`firebreak serve mcp --toolsets LIST\`). \`field?\` may be left out.

Written by \`make reference\` from \`src/mcp\`.
`;

/** docs/reference/mcp.md. */
export function writeMcpReference(): string {
  const sections = Object.entries(TOOLSETS).flatMap(([name, tools]) => [
    `## ${name}`,
    (DEFAULT_TOOLSETS as readonly string[]).includes(name)
      ? "Served by default."
      : `Served with \`--toolsets ${name}\` or \`all\`.`,
    ...tools.flatMap(describeTool),
  ]);
  return `${[HEAD.trim(), ...sections].join("\n\n")}\n`;
}

function describeTool(tool: AnyTool): string[] {
  const part = (title: string, side: "input" | "output") => {
    const schema = toJsonSchema(side === "input" ? tool.inputSchema : tool.outputSchema, side) as JsonSchema;
    const table = fieldTable(schema);
    return table.length === 0 ? [`${title}: none.`] : [`${title}:`, table.join("\n")];
  };
  return [
    `### ${tool.name}`,
    `${tool.title}. ${tool.description}`,
    `Hints: ${describeHints(tool.annotations)}.`,
    ...part("Arguments", "input"),
    ...part("Result", "output"),
  ];
}

function describeHints(hints: ToolHints): string {
  return [
    hints.readOnlyHint ? "reads only" : hints.destructiveHint ? "may destroy" : "changes",
    ...(hints.idempotentHint ? ["idempotent"] : []),
    ...(hints.openWorldHint ? ["open world"] : []),
  ].join(", ");
}
