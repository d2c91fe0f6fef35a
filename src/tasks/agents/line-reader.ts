import type { AgentEvent } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import { type Fields, name, outputOf, readFields } from "./fields.ts";
import { TokenSums } from "./token-sums.ts";

/** What a reader knows of the agent's end, and of what it has used; one for each attempt. */
export class StreamState {
  outcome: AgentReader["outcome"];
  costUsd: number | undefined;
  turns: number | undefined;
  /** Turns that have begun, where that is something else. */
  turnsBegun: number | undefined;
  readonly tokens = new TokenSums();
  #lastUsage = "";
  #hasStarted = false;

  /** Once; agents may begin anew in the middle. */
  started(event: Omit<Extract<AgentEvent, { type: "started" }>, "type">): AgentEvent[] {
    if (this.#hasStarted) return [];
    this.#hasStarted = true;
    return [{ type: "started", ...withoutAbsent(event) }];
  }

  /** All that has been used, when it is not what was told last. */
  usage(): AgentEvent[] {
    const tokens = this.tokens.list();
    const cost = this.costUsd === undefined ? {} : { cost: { usd: this.costUsd, source: "reported" as const } };
    const event: AgentEvent = {
      type: "usage",
      tokens,
      ...cost,
      ...(this.turns === undefined ? {} : { turns: this.turns }),
    };
    const said = JSON.stringify(event);
    if (said === this.#lastUsage || (tokens.length === 0 && this.costUsd === undefined)) return [];
    this.#lastUsage = said;
    return [event];
  }

  failed(message: string | undefined, reason: "failed" | "budget" = "failed"): void {
    this.outcome = { reason, ...(message === undefined ? {} : { message }) };
  }
}

/** A reader of objects of JSON, one a line, each with a type. `read` gets those; what it does not know of it answers with nothing. */
export function createLineReader(state: StreamState, read: (type: string, line: Fields) => AgentEvent[]): AgentReader {
  return {
    line: (text) => {
      const line = readFields(text);
      const type = line === undefined || !Object.hasOwn(line, "type") ? undefined : name(line.type);
      if (line === undefined || type === undefined) return text.trim() === "" ? [] : [outputOf(text)];
      return read(type, line);
    },
    get outcome() {
      return state.outcome;
    },
    get tokens() {
      return state.tokens.list();
    },
    get costUsd() {
      return state.costUsd;
    },
    get turnsBegun() {
      return state.turnsBegun ?? state.turns ?? 0;
    },
  };
}

/** Without members that are undefined: none of them is told. */
export function withoutAbsent<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
