import path from "node:path";
import { claudeCode } from "./claude-code.ts";
import type { ClientConfig } from "./client.ts";

/** The form that most clients read, in a file of its own. */
export const mcpJson: ClientConfig = {
  ...claudeCode,
  id: "mcp-json",
  name: "mcp.json",
  scopes: ["project"],
  file: (_scope, { cwd }) => path.join(cwd, "mcp.json"),
};
