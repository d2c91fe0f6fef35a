import { z } from "zod";
import type { TaskEvent } from "../../contract/task-event.ts";
import { defineTool } from "../tool.ts";
import { taskArgument } from "./task-view.ts";

const MAX_TEXT = 64 * 1024;
const MAX_PIECE = 4_000;

export const getTaskLog = defineTool({
  name: "get_task_log",
  title: "Read a task's events",
  description:
    "Reads what has happened in a task, event by event, from any number on. When the answer has next_from, call again with that as from.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    task_id: taskArgument,
    from: z.int().min(1).default(1).describe("Number of the first event."),
    limit: z.int().min(1).max(1_000).default(200).describe("Events at most."),
  }),
  outputSchema: z.strictObject({
    events: z.array(
      z.strictObject({ seq: z.number(), at: z.string(), type: z.string(), text: z.string().describe("What it says.") }),
    ),
    next_from: z.number().optional().describe("Where to go on; absent when there is no more now."),
  }),
  handler: async (args, { client, signal }) => {
    const events: { seq: number; at: string; type: string; text: string }[] = [];
    let length = 0;
    let next: number | undefined;
    for await (const event of client.tasks.events(args.task_id, { from: args.from }, { signal })) {
      if (!("seq" in event)) continue;
      if (events.length >= args.limit || length > MAX_TEXT) {
        next = event.seq;
        break;
      }
      const text = describe(event).slice(0, MAX_PIECE);
      length += text.length;
      events.push({ seq: event.seq, at: event.at, type: event.type, text });
    }
    return {
      structured: { events, ...(next === undefined ? {} : { next_from: next }) },
      facts: [`task ${args.task_id}`, `${events.length} events`],
      text: events.map(({ seq, type, text }) => `${seq} ${type}: ${text}`).join("\n"),
    };
  },
});

function describe(event: TaskEvent): string {
  switch (event.type) {
    case "output":
      return event.text ?? event.raw ?? `${(event.base64 ?? "").length} characters of base64`;
    case "text":
    case "thinking":
    case "answer":
      return event.text;
    case "tool_call":
      return `${event.name} ${JSON.stringify(event.input)}`;
    case "tool_result":
      return event.output;
    case "retry":
    case "error":
      return event.message;
    case "state":
      return `${event.state}${event.reason === undefined ? "" : `: ${event.reason}`}`;
    case "finished":
      return `${event.reason}${event.message === undefined ? "" : `: ${event.message}`}`;
    case "gap":
      return `${event.bytes} bytes are lost: ${event.reason}`;
    case "started":
      return [event.agent, event.version, event.model].filter((part) => part !== undefined).join(" ");
    default:
      return JSON.stringify(event);
  }
}
