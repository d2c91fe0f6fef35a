import type { CallToolResult } from "@modelcontextprotocol/server";
import type { ErrorClass, ErrorCode } from "../errors/catalogue.ts";
import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { ToolOutput } from "./tool.ts";

/**
 * Where a failed call's result has it as data (`_meta`). Not its structured content: Gemini CLI and opencode hold that against the tool's output schema
 * even when a call has failed, and would tell their model of the schema in place of the error.
 */
export const FAILURE_KEY = "firebreak.dev/error";

/** What there is to know of a failed call. */
export interface ToolFailure {
  code: ErrorCode;
  class: ErrorClass;
  message: string;
  hint?: string;
  /** The same call may work later, unchanged. */
  retryable: boolean;
  /** How long to wait before that, ms. */
  retry_after_ms?: number;
  /** What a command had written when the call failed. */
  partial_output?: unknown;
  vm?: string;
}

/** Classes after which the same call may work, and how soon, ms. */
const RETRY_AFTER_MS: Partial<Record<ErrorClass, number>> = {
  unavailable: 1_000,
  aborted: 200,
  deadline_exceeded: 1_000,
};
/** What passes by itself, although its class does not say so. */
const RETRY_AFTER_MS_OF_CODE: Partial<Record<ErrorCode, number>> = { EXEC_LIMIT: 1_000, VM_MEMORY_EXHAUSTED: 10_000 };

/** The next step in terms of these tools. */
const TOOL_HINTS: Partial<Record<ErrorCode, string>> = {
  VM_STATE_CONFLICT: "vm_get tells its state and why; vm_start starts a stopped VM, vm_resume lets a paused one go on.",
  VM_ALREADY_EXISTS: "Choose another name, or use the VM that has it.",
  VM_CRASHED: "vm_get tells why; vm_start starts it again on its disk.",
  VM_MEMORY_EXHAUSTED: "Ask for less memory_mib, or stop a VM that is not needed: vm_list.",
  SNAPSHOT_ALREADY_EXISTS: "Choose another name, or delete the snapshot that has it: snapshot_delete.",
  ARTIFACT_NOT_FOUND: "artifact_list shows what has been kept.",
  ARTIFACT_ALREADY_EXISTS: "Choose another name, or delete the artifact that has it: artifact_delete.",
  WORKSPACE_NOT_SYNCED:
    "The VM holds changes of a directory of the user's that have not come back. Start it with vm_start and stop it with vm_stop, or ask the user to decide (firebreak workspace).",
  SNAPSHOT_CORRUPT:
    "A damaged snapshot can only be deleted (snapshot_delete); a VM that cannot go on from its suspension starts anew from its disk (vm_stop, then vm_start).",
  TASK_NOT_FOUND: "list_tasks shows the tasks that there are.",
  TASK_BUDGET_EXHAUSTED: "get_task_usage tells what was spent; the user decides on more. Commands cost nothing.",
  TASK_FILE_NOT_FOUND: "list_task_files shows what the task has left.",
  AGENT_SECRET_MISSING:
    "Ask the user to set the key: firebreak secret set NAME --host HOST. Its value goes past no model.",
  FILE_NOT_FOUND: "file_list shows what a directory of the VM holds.",
  FILE_IS_A_DIRECTORY: "file_list shows what the directory holds.",
  FILE_NOT_A_DIRECTORY: "file_read reads a file.",
  DIRECTORY_NOT_EMPTY: "Pass recursive: true to delete it with all it holds.",
  COMMAND_NOT_FOUND: "The command has to exist in the VM; what this machine has installed does not count.",
  GUEST_DISK_FULL: "Delete files in the VM, or create a VM with a larger disk_mib.",
};

/** First line of every text: that a VM is meant, which one, and how it went. */
function headline(vm: string | undefined, facts: string[]): string {
  return `[${[vm === undefined ? "firebreak" : `vm ${vm}`, ...facts].join(" · ")}]`;
}

/** What a tool has done, for the wire: text for the model, the same as data for programs. */
export function toResult(output: ToolOutput<unknown>): CallToolResult {
  const head = headline(output.vm, output.facts);
  const text = output.text === undefined || output.text === "" ? head : `${head}\n${output.text}`;
  const content: CallToolResult["content"] = [{ type: "text", text }];
  if (output.image !== undefined) {
    content.push({ type: "image", data: output.image.base64, mimeType: output.image.mimeType });
    // Which would be all that some models are shown of the result.
    return { content };
  }
  return { content, structuredContent: output.structured as Record<string, unknown> };
}

/** A failed call: a result that says so, not a protocol error, so that the model reads it. */
export function toFailure(error: FirebreakError, vm: string | undefined): CallToolResult {
  // An error's own hint names commands of a shell, which a model may not have.
  const hint = TOOL_HINTS[error.code] ?? error.hint;
  const retryAfterMs = RETRY_AFTER_MS_OF_CODE[error.code] ?? RETRY_AFTER_MS[error.class];
  const partial = error.details?.partialOutput;
  const failure: ToolFailure = {
    code: error.code,
    class: error.class,
    message: error.message,
    retryable: retryAfterMs !== undefined,
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
    ...(partial === undefined ? {} : { partial_output: partial }),
    ...(hint === undefined ? {} : { hint }),
    ...(vm === undefined ? {} : { vm }),
  };
  const facts = [`error ${error.code}`, ...(retryAfterMs === undefined ? [] : [`try again in ${retryAfterMs} ms`])];
  const lines = [headline(vm, facts), error.message, ...(hint === undefined ? [] : [hint])];
  if (partial !== undefined) lines.push(`What it had written: ${JSON.stringify(partial)}`);
  const text = lines.join("\n");
  return { isError: true, content: [{ type: "text", text }], _meta: { [FAILURE_KEY]: failure } };
}
