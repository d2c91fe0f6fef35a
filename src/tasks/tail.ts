import { OUTPUT_TAIL_LENGTH } from "../contract/task.ts";
import type { TaskEventBody } from "../contract/task-event.ts";

/** The end of what a task has said or printed, for those who want no more than that. */
export class OutputTail {
  #text = "";
  #answer: string | undefined;

  add(event: TaskEventBody): void {
    if (event.type === "answer") this.#answer = event.text;
    const text = textOf(event);
    if (text !== "") this.#text = (this.#text + text).slice(-OUTPUT_TAIL_LENGTH);
  }

  get text(): string {
    return this.#text;
  }

  /** The agent's own last word. */
  get answer(): string | undefined {
    return this.#answer;
  }
}

function textOf(event: TaskEventBody): string {
  switch (event.type) {
    case "output":
      return event.text ?? (event.base64 === undefined ? "" : Buffer.from(event.base64, "base64").toString("utf8"));
    case "text":
      return event.isDelta ? event.text : `${event.text}\n`;
    case "error":
      return `${event.message}\n`;
    default:
      return "";
  }
}
