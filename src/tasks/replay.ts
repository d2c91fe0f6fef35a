import type { TaskEvent } from "../contract/task-event.ts";
import type { AgentReader, TaskAgent } from "./agents/agent.ts";
import type { TaskLog } from "./log/task-log.ts";
import { OutputTail } from "./tail.ts";

/** What an earlier daemon knew of a task that it was reading, made again of the log of the attempt that is under way. */
export async function replay(
  log: TaskLog,
  agent: TaskAgent,
): Promise<{ reader: AgentReader | undefined; tail: OutputTail; last: TaskEvent | undefined }> {
  let reader = agent.createReader?.();
  let tail = new OutputTail();
  let last: TaskEvent | undefined;
  for await (const piece of log.read(1)) {
    for (const line of piece.toString("utf8").trimEnd().split("\n")) {
      const event = JSON.parse(line) as TaskEvent;
      last = event;
      if (event.type === "state" && event.state === "starting") {
        reader = agent.createReader?.();
        tail = new OutputTail();
      }
      tail.add(event);
      if (event.raw !== undefined) reader?.line(event.raw);
      // A line that was shown as it is was read by the agent's reader, too.
      else if (event.type === "output" && event.stream === "stdout" && event.text !== undefined)
        reader?.line(event.text.trimEnd());
    }
  }
  return { reader, tail, last };
}
