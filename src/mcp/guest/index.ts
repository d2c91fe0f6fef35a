import type { AnyTool } from "../tool.ts";
import { commandInput } from "./command-input.ts";
import { commandKill } from "./command-kill.ts";
import { commandList } from "./command-list.ts";
import { commandOutput } from "./command-output.ts";
import { commandStatus } from "./command-status.ts";
import { fileDelete } from "./file-delete.ts";
import { fileList } from "./file-list.ts";
import { fileRead } from "./file-read.ts";
import { fileWrite } from "./file-write.ts";
import { runCommand } from "./run-command.ts";

/** Work inside a VM. */
export const guestTools: readonly AnyTool[] = [
  runCommand,
  fileRead,
  fileWrite,
  fileList,
  fileDelete,
  commandStatus,
  commandOutput,
  commandInput,
  commandKill,
  commandList,
];
