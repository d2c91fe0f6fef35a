import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import type { Task } from "../../../contract/task.ts";
import type { TaskEvent } from "../../../contract/task-event.ts";
import type { Progress } from "../../../contract/vm.ts";
import { stripControl, stripLines } from "../../../platform/terminal-text.ts";
import type { ProgressLine } from "../../progress.ts";

const INPUT_LENGTH = 200;
const RESULT_LINES = 8;
const COLOURS = { thinking: "35", text: "34", tool: "33", result: "90", good: "32", bad: "31" } as const;

/** Between two looks at a task of which there is no event yet, ms. */
const LOOK_MS = 1_000;

/** Prints a task's events from the first one on until it has ended; until there are any, how it stands. */
export async function followTask(client: DaemonClient, id: string, progress: ProgressLine): Promise<Task> {
  const print = createPrinter({ id });
  const looking = new AbortController();
  const looks = tellUntilBegun(client, id, progress, looking.signal).catch(() => {}); // the events say what is wrong
  for await (const event of client.tasks.events(id, { from: 1, follow: true })) {
    if (!looking.signal.aborted) {
      looking.abort();
      await looks;
      progress.clear();
    }
    if ("seq" in event) print(event);
  }
  looking.abort();
  progress.clear();
  return client.tasks.get(id);
}

async function tellUntilBegun(
  client: DaemonClient,
  id: string,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(LOOK_MS, undefined, { signal });
    const task = await client.tasks.get(id);
    if (signal.aborted) return;
    progress.update(progressOf(task));
  }
}

/** How a task stands that waits or is made ready, for people. A percentage makes no line of its own. */
export function progressOf({ id, state, position, reason }: Task): Progress {
  const place = position === undefined ? "" : `, number ${position} in the queue`;
  // Of an error with what a program has printed its first line.
  const [why = ""] = (reason ?? "").split("\n");
  const message = `task ${id} is ${state}${place}${why === "" ? "" : `: ${stripControl(why)}`}`;
  return { step: message.replace(/ \d+ %$/, ""), message };
}

/** Writes events for people: output as it is, what an agent does in short; with `tellsEnd` why the task has not completed, unless that has been said; with `id` which task it is, at its first state. */
export function createPrinter({
  tellsEnd = false,
  id,
}: {
  tellsEnd?: boolean;
  id?: string;
} = {}): (event: TaskEvent) => void {
  const hasColour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  const paint = (colour: keyof typeof COLOURS, text: string) =>
    hasColour ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
  let isLineOpen = false;
  let lastReason: string | undefined;
  let isNamed = id === undefined;
  const line = (text: string) => {
    process.stdout.write(`${isLineOpen ? "\n" : ""}${text}\n`);
    isLineOpen = false;
  };
  const piece = (text: string) => {
    process.stdout.write(text);
    isLineOpen = !text.endsWith("\n");
  };
  return (event) => {
    switch (event.type) {
      case "output": {
        const bytes = event.text ?? (event.base64 === undefined ? "" : Buffer.from(event.base64, "base64"));
        if (event.stream === "stderr") process.stderr.write(bytes);
        else if (typeof bytes === "string") piece(bytes);
        else process.stdout.write(bytes);
        return;
      }
      case "text":
        return event.isDelta
          ? piece(paint("text", stripLines(event.text)))
          : line(paint("text", stripLines(event.text)));
      case "thinking":
        return event.isDelta
          ? piece(paint("thinking", stripLines(event.text)))
          : line(paint("thinking", stripLines(event.text)));
      case "tool_call":
        return line(
          paint(
            "tool",
            `→ ${stripLines(event.name)} ${stripLines(JSON.stringify(event.input) ?? "").slice(0, INPUT_LENGTH)}`,
          ),
        );
      case "tool_result":
        return line(paint("result", shorten(stripLines(event.output))));
      case "retry":
        return line(paint("result", `retry: ${stripLines(event.message)}`));
      case "error":
        return line(paint("bad", stripLines(event.message)));
      case "gap":
        return line(paint("bad", `[${event.bytes} bytes of output are lost: ${event.reason}]`));
      case "state":
        lastReason = event.reason;
        if (!isNamed) process.stderr.write(`task ${id}: `);
        isNamed = true;
        return void process.stderr.write(
          `${event.state}${event.reason === undefined ? "" : `: ${stripLines(event.reason)}`}\n`,
        );
      case "finished":
        if (tellsEnd && event.message !== undefined && event.message !== lastReason)
          process.stderr.write(`${event.reason}: ${stripLines(event.message)}\n`);
        return;
      default:
        return;
    }
  };
}

function shorten(text: string): string {
  const lines = text.trimEnd().split("\n");
  const rest = lines.length - RESULT_LINES;
  return rest > 0 ? [...lines.slice(0, RESULT_LINES), `… ${rest} lines more`].join("\n") : lines.join("\n");
}
