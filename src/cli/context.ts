import type { Command } from "commander";
import { connectDaemon } from "../client/connect.ts";
import type { DaemonClient } from "../client/daemon-client.ts";
import { resolvePaths } from "../platform/paths.ts";
import { ProgressLine } from "./progress.ts";

/** What each command's action works with. */
export interface CliContext {
  client: DaemonClient;
  asJson: boolean;
  progress: ProgressLine;
}

export function isJson(command: Command): boolean {
  return command.optsWithGlobals().json === true;
}

/** The context with the daemon that FIREBREAK_URL names, or with this host's; starts that one when it does not run. */
export async function openContext(command: Command): Promise<CliContext> {
  const asJson = isJson(command);
  const progress = new ProgressLine(asJson);
  return { client: await connectDaemon(resolvePaths), asJson, progress };
}
