import { FirebreakError } from "../../errors/firebreak-error.ts";
import { claudeCode } from "./claude-code.ts";
import { claudeDesktop } from "./claude-desktop.ts";
import type { ClientConfig } from "./client.ts";
import { codex } from "./codex.ts";
import { copilot } from "./copilot.ts";
import { cursor } from "./cursor.ts";
import { gemini } from "./gemini.ts";
import { mcpJson } from "./mcp-json.ts";
import { opencode } from "./opencode.ts";
import { vscode } from "./vscode.ts";
import { zed } from "./zed.ts";

export const CLIENTS: readonly ClientConfig[] = [
  claudeCode,
  claudeDesktop,
  cursor,
  vscode,
  codex,
  gemini,
  opencode,
  zed,
  copilot,
  mcpJson,
];

/** Throws INVALID_ARGUMENT. */
export function clientNamed(id: string): ClientConfig {
  const client = CLIENTS.find((candidate) => candidate.id === id);
  if (client !== undefined) return client;
  throw new FirebreakError("INVALID_ARGUMENT", `there is no client '${id}'`, {
    hint: `One of ${CLIENTS.map((candidate) => candidate.id).join(", ")}; most others read mcp-json.`,
  });
}
