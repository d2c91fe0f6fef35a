import type { AgentEvent } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import { bounded, code, count, type Fields, fields, Memory, member, name, said, text, words } from "./fields.ts";
import { createLineReader, StreamState, withoutAbsent } from "./line-reader.ts";

/** What its items are, of those that are tools. */
const TOOLS: Readonly<Record<string, string>> = {
  command_execution: "shell",
  file_change: "apply_patch",
  web_search: "web_search",
  mcp_tool_call: "mcp",
};

/** `codex exec --json`. It names no model and no cost. */
export function createCodexReader(): AgentReader {
  const state = new StreamState();
  const calls = new Memory<true>();
  const done = new Memory<true>();
  let answer: string | undefined;
  let lastError: string | undefined;

  const callOnce = (id: string, item: Fields): AgentEvent[] => {
    if (calls.has(id)) return [];
    calls.set(id, true);
    return [{ type: "tool_call", id, name: toolOf(item), input: inputOf(item) }];
  };

  const readItem = (item: Fields, isDone: boolean): AgentEvent[] => {
    const type = name(item.type) ?? "";
    const id = name(item.id) ?? "";
    if (Object.hasOwn(TOOLS, type)) {
      const call = callOnce(id, item);
      // What its thread calls a turn is all of it. The model is asked again when a tool has answered.
      if (isDone) state.turnsBegun = (state.turnsBegun ?? 1) + 1;
      return isDone ? [...call, resultOf(id, item)] : call;
    }
    // Texts are told when they are whole, and once.
    if (!isDone || done.has(id)) return [];
    if (id !== "") done.set(id, true);
    const messageId = id === "" ? {} : { messageId: id };
    const said = words(item.text);
    if (type === "agent_message" && said !== undefined) {
      answer = said;
      return [{ type: "text", text: said, ...messageId }];
    }
    if (type === "reasoning" && said !== undefined) return [{ type: "thinking", text: said, ...messageId }];
    // Mostly a warning: what ends the turn is told by the turn.
    const message = words(item.message);
    return type === "error" && message !== undefined ? [{ type: "error", message, fatal: false }] : [];
  };

  const readError = (message: string | undefined): AgentEvent[] => {
    if (message === undefined) return [];
    const retry = readRetry(message);
    if (retry !== undefined) return [retry];
    lastError = message;
    return [{ type: "error", message, fatal: true }];
  };

  const readTurnEnd = (line: Fields): AgentEvent[] => {
    const usage = line.usage;
    if (fields(usage) !== undefined) {
      const cached = count(member(usage, "cached_input_tokens")) ?? 0;
      const written = count(member(usage, "cache_write_input_tokens")) ?? 0;
      // Its input is all of it, and its usage that of the whole thread.
      state.tokens.raise(undefined, {
        input: Math.max(0, (count(member(usage, "input_tokens")) ?? 0) - cached - written),
        output: count(member(usage, "output_tokens")) ?? 0,
        cacheRead: cached,
        cacheWrite: written,
        reasoning: count(member(usage, "reasoning_output_tokens")) ?? 0,
      });
    }
    state.outcome = { reason: "completed" };
    return [...state.usage(), ...(answer === undefined ? [] : [{ type: "answer" as const, text: answer }])];
  };

  return createLineReader(state, (type, line) => {
    if (type === "thread.started") return state.started({ agent: "codex", sessionId: name(line.thread_id) });
    if (type === "turn.started") state.turns = (state.turns ?? 0) + 1;
    if (type === "turn.completed") return readTurnEnd(line);
    if (type === "error") return readError(words(line.message));
    if (type === "turn.failed") {
      const message = words(member(line, "error", "message")) ?? lastError ?? "the turn has failed";
      state.failed(message);
      return message === lastError ? [] : [{ type: "error", message, fatal: true }];
    }
    const item = fields(line.item);
    if (item === undefined) return [];
    if (type === "item.started" || type === "item.updated") return readItem(item, false);
    return type === "item.completed" ? readItem(item, true) : [];
  });
}

/** `Reconnecting... 1/4 (unexpected status 401 Unauthorized: …)` */
function readRetry(message: string): AgentEvent | undefined {
  const [, attempt, why] = /^Reconnecting\.\.\. (\d{1,6})\/\d+(?: \((.*)\))?$/s.exec(message) ?? [];
  if (attempt === undefined) return undefined;
  const [, status] = /\bstatus (\d{3})\b/.exec(why ?? "") ?? [];
  return withoutAbsent<AgentEvent>({
    type: "retry",
    attempt: Number(attempt),
    status: status === undefined ? undefined : Number(status),
    message: why ?? message,
  });
}

function toolOf(item: Fields): string {
  const type = name(item.type) ?? "";
  if (type !== "mcp_tool_call") return TOOLS[type] ?? type;
  return name(`${text(item.server) ?? ""}/${text(item.tool) ?? ""}`) ?? type;
}

function inputOf(item: Fields): unknown {
  if (item.type === "command_execution") return { command: text(item.command) ?? "" };
  if (item.type === "mcp_tool_call") return bounded(item.arguments);
  const { id: _id, type: _type, status: _status, aggregated_output: _output, ...rest } = item;
  return bounded(rest);
}

function resultOf(id: string, item: Fields): AgentEvent {
  const exitCode = code(item.exit_code);
  const error = words(member(item, "error", "message")) ?? words(item.error);
  const isWell = item.status !== "failed" && item.status !== "declined" && error === undefined;
  const output = words(item.aggregated_output) ?? error ?? said(member(item, "result", "content") ?? item.result);
  return {
    type: "tool_result",
    id,
    ok: isWell && (exitCode ?? 0) === 0,
    output,
    ...(exitCode === undefined ? {} : { exitCode }),
  };
}
