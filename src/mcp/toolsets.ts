import { FirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";
import { artifactTools } from "./artifact/index.ts";
import { driveTools } from "./drive/index.ts";
import { forwardTools } from "./forward/index.ts";
import { guestTools } from "./guest/index.ts";
import { hostTools } from "./host/index.ts";
import { imageTools } from "./image/index.ts";
import { kernelTools } from "./kernel/index.ts";
import { monitorTools } from "./monitor/index.ts";
import { networkTools } from "./network/index.ts";
import { secretTools } from "./secret/index.ts";
import { snapshotTools } from "./snapshot/index.ts";
import { taskTools } from "./task/index.ts";
import { templateTools } from "./template/index.ts";
import type { AnyTool } from "./tool.ts";
import { vmTools } from "./vm/index.ts";
import { volumeTools } from "./volume/index.ts";

/** All tools by toolset, which is the folder that they are in, in the order in which clients list them. */
export const TOOLSETS = {
  guest: guestTools,
  vm: vmTools,
  snapshot: snapshotTools,
  monitor: monitorTools,
  network: networkTools,
  secret: secretTools,
  drive: driveTools,
  volume: volumeTools,
  forward: forwardTools,
  artifact: artifactTools,
  task: taskTools,
  template: templateTools,
  image: imageTools,
  kernel: kernelTools,
  host: hostTools,
} as const satisfies Record<string, readonly AnyTool[]>;
export type ToolsetName = keyof typeof TOOLSETS;

export const TOOLSET_NAMES = Object.keys(TOOLSETS) as ToolsetName[];

/** What a coding agent needs; each tool more is read by its model at every start. */
export const DEFAULT_TOOLSETS: readonly ToolsetName[] = ["guest", "vm", "snapshot"];

/**
 * The toolsets of a list such as `vm,guest`, all of `all` and none of `none`, in the order of listing; the default ones when there is no list.
 * Throws INVALID_ARGUMENT on an unknown name, and names the nearest.
 */
export function parseToolsets(list: string | undefined): readonly ToolsetName[] {
  if (list === undefined || list.trim() === "") return DEFAULT_TOOLSETS;
  const words = list.split(",").map((word) => word.trim());
  if (words.length === 1 && words[0] === "none") return [];
  for (const word of words) if (word !== "all" && !Object.hasOwn(TOOLSETS, word)) throw unknownToolset(word);
  return words.includes("all") ? TOOLSET_NAMES : TOOLSET_NAMES.filter((name) => words.includes(name));
}

function unknownToolset(word: string): FirebreakError {
  const nearest = findNearest(word, [...TOOLSET_NAMES, "all"]);
  return new FirebreakError("INVALID_ARGUMENT", `there is no toolset '${word}'`, {
    hint: `${nearest === undefined ? "" : `Did you mean '${nearest}'? `}There are ${TOOLSET_NAMES.join(", ")}, or all.`,
  });
}

/** The tools of some toolsets. */
export function toolsOf(toolsets: readonly ToolsetName[]): readonly AnyTool[] {
  return toolsets.flatMap((name) => TOOLSETS[name]);
}

/** Which toolset a tool is in, when there is such a tool. */
export function toolsetOf(tool: string): ToolsetName | undefined {
  return TOOLSET_NAMES.find((name) => TOOLSETS[name].some((known) => known.name === tool));
}
