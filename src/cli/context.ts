import type { Command } from "commander";
import { DaemonClient } from "../client/daemon-client.ts";
import { ensureDaemon } from "../client/ensure-daemon.ts";
import { type FirebreakPaths, resolvePaths } from "../platform/paths.ts";
import { ProgressLine } from "./progress.ts";

/** What each command's action works with. */
export interface CliContext {
  paths: FirebreakPaths;
  client: DaemonClient;
  asJson: boolean;
  progress: ProgressLine;
}

export function isJson(command: Command): boolean {
  return command.optsWithGlobals().json === true;
}

/** The context with a running daemon; starts one when there is none. */
export async function openContext(command: Command): Promise<CliContext> {
  const paths = resolvePaths();
  const asJson = isJson(command);
  const progress = new ProgressLine(asJson);
  await ensureDaemon(paths);
  return { paths, client: new DaemonClient(paths.socket), asJson, progress };
}
