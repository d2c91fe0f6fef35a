import type { AnyTool } from "../tool.ts";
import { cancelTask } from "./cancel-task.ts";
import { deleteTask } from "./delete-task.ts";
import { getTaskFile } from "./get-task-file.ts";
import { getTaskLog } from "./get-task-log.ts";
import { getTaskStatus } from "./get-task-status.ts";
import { getTaskUsage } from "./get-task-usage.ts";
import { listTaskFiles } from "./list-task-files.ts";
import { listTasks } from "./list-tasks.ts";
import { retryTask } from "./retry-task.ts";
import { runTask } from "./run-task.ts";

/** Work that is delegated: to a coding agent, or to any command, in a VM of its own. */
export const taskTools: readonly AnyTool[] = [
  runTask,
  getTaskStatus,
  listTasks,
  getTaskLog,
  listTaskFiles,
  getTaskFile,
  cancelTask,
  retryTask,
  deleteTask,
  getTaskUsage,
];
