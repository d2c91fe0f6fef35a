import type { ExecRequest } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { feed } from "./feed.ts";
import type { RunReport } from "./run-report.ts";

/** What the VM keeps of the output of a command that nobody follows; the oldest goes first. */
const SPOOL_BYTES = 8 * 1024 * 1024;
/** How long a command has to take the input that it is started with, ms. */
const STDIN_DEADLINE_MS = 10_000;

/** Starts a command that goes on by itself: its output is kept in the VM, where whoever has its id finds it, whatever becomes of the daemon. */
export async function startInBackground(
  vm: string,
  spec: ExecRequest,
  stdin: string | undefined,
  keepStdin: boolean,
  context: ToolContext,
): Promise<ToolOutput<RunReport>> {
  const { client, signal, onProgress } = context;
  const exec = await client.execs.start(vm, { ...spec, detach: true, spoolBytes: SPOOL_BYTES }, { signal, onProgress });
  for await (const _ of exec.output());
  const id = exec.started?.id;
  if (id === undefined)
    throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended before the command had started");
  if (signal.aborted) {
    await client.execs.kill(vm, id);
    throw new FirebreakError("OPERATION_CANCELED", "the call was given up; the command has been ended");
  }
  let note = "";
  if (stdin !== undefined) {
    const bytes = Buffer.from(stdin);
    const settings = { eof: !keepStdin, deadlineMs: STDIN_DEADLINE_MS };
    const accepted = await feed(vm, id, bytes, settings, context);
    if (accepted < bytes.length) note = `It has taken ${accepted} of ${bytes.length} bytes of its input so far.\n`;
  }
  return {
    structured: { vm, exec_id: id, status: "running" },
    vm,
    facts: ["running in the background", `exec ${id}`],
    text: `${note}command_output reads what it writes, command_status tells how it does, command_kill ends it.`,
  };
}
