import type { Cost, FinishReason, TaskEvent } from "../../../../../src/contract/task-event.ts";

/** What one row of the log shows: an event, or several that are pieces of one message. */
export type BlockBody =
  | { kind: "thinking" | "text"; text: string }
  | { kind: "tool_call"; name: string; input: unknown }
  | { kind: "tool_result"; name: string | undefined; ok: boolean; text: string; exitCode: number | undefined }
  | { kind: "output"; stream: "stdout" | "stderr"; text: string }
  | { kind: "answer"; text: string }
  | {
      kind: "finished";
      reason: FinishReason;
      exitCode: number | undefined;
      message: string | undefined;
      cost: Cost | undefined;
    }
  | { kind: "error"; text: string }
  /** A thin line between the others. */
  | { kind: "note"; label: string; text: string };

export type Block = BlockBody & {
  /** Number of its first event; no two blocks have the same. */
  seq: number;
  at: string;
  /** Grows with each piece that is added. */
  version: number;
};

/** Turns events into blocks as they come. Events that say nothing to a reader (running sums of tokens) become none. */
export class BlockBuilder {
  readonly blocks: Block[] = [];
  /** Texts that pieces may still be added to, by kind and message. */
  readonly #open = new Map<string, number>();
  readonly #toolNames = new Map<string, string>();

  push(event: TaskEvent): void {
    if ((event.type === "text" || event.type === "thinking") && event.isDelta && event.messageId !== undefined) {
      const key = `${event.type} ${event.messageId}`;
      const index = this.#open.get(key);
      const open = index === undefined ? undefined : this.blocks[index];
      if (index !== undefined && open !== undefined && "text" in open) {
        // A new object: rows are drawn again when theirs is another one.
        this.blocks[index] = { ...open, text: open.text + event.text, version: open.version + 1 } as Block;
        return;
      }
      this.#open.set(key, this.blocks.length);
    }
    if (event.type === "tool_call") this.#toolNames.set(event.id, event.name);
    const body = this.#toBody(event);
    if (body !== undefined) this.blocks.push({ ...body, seq: event.seq, at: event.at, version: 0 });
  }

  /** Events that are left out: a follower that was too slow. */
  skip(from: number, to: number): void {
    this.blocks.push({
      kind: "note",
      label: "skipped",
      text: `events ${from} to ${to}`,
      seq: from,
      at: "",
      version: 0,
    });
  }

  #toBody(event: TaskEvent): BlockBody | undefined {
    switch (event.type) {
      case "text":
      case "thinking":
        return { kind: event.type, text: event.text };
      case "tool_call":
        return { kind: "tool_call", name: event.name, input: event.input };
      case "tool_result":
        return {
          kind: "tool_result",
          name: this.#toolNames.get(event.id),
          ok: event.ok,
          text: event.output,
          exitCode: event.exitCode,
        };
      case "output":
        return { kind: "output", stream: event.stream, text: outputOf(event) };
      case "answer":
        return { kind: "answer", text: event.text };
      case "finished":
        return {
          kind: "finished",
          reason: event.reason,
          exitCode: event.exitCode,
          message: event.message,
          cost: event.cost,
        };
      case "error":
        return { kind: "error", text: event.message };
      case "started":
        return {
          kind: "note",
          label: "started",
          text: [event.agent, event.version, event.model].filter(Boolean).join(" · "),
        };
      case "state":
        return {
          kind: "note",
          label: event.state,
          text: [event.attempt > 1 ? `attempt ${event.attempt}` : "", event.reason ?? ""].filter(Boolean).join(" · "),
        };
      case "retry":
        return { kind: "note", label: "retry", text: event.message };
      case "gap":
        return { kind: "note", label: "gap", text: `${event.bytes} bytes are lost: ${event.reason}` };
      case "usage":
        return undefined;
    }
  }
}

function outputOf({ text, base64 }: { text?: string | undefined; base64?: string | undefined }): string {
  if (text !== undefined) return text.endsWith("\n") ? text.slice(0, -1) : text;
  return base64 === undefined ? "" : `${Math.floor((base64.length * 3) / 4)} bytes that are no UTF-8`;
}

/** A tool's input as people read it: the one string that it is about where there is such, JSON otherwise. */
export function formatInput(input: unknown): string {
  if (typeof input === "string") return input;
  if (typeof input === "object" && input !== null && !Array.isArray(input)) {
    const entries = Object.entries(input);
    const [only] = entries;
    if (entries.length === 1 && typeof only?.[1] === "string") return only[1];
    if (entries.length > 0 && entries.every(([, value]) => typeof value !== "object" || value === null))
      return entries.map(([name, value]) => `${name}: ${String(value)}`).join("\n");
  }
  return JSON.stringify(input, null, 2) ?? "";
}

/** All text of a block that a search looks through. */
export function textOf(block: Block): string {
  switch (block.kind) {
    case "tool_call":
      return `${block.name} ${formatInput(block.input)}`;
    case "note":
      return `${block.label} ${block.text}`;
    case "finished":
      return `${block.reason} ${block.message ?? ""}`;
    default:
      return block.text;
  }
}
