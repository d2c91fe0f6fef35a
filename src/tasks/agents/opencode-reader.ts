import type { AgentEvent } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import { bounded, code, count, dollars, type Fields, fields, Memory, member, name, said, words } from "./fields.ts";
import { createLineReader, StreamState } from "./line-reader.ts";

/** `opencode run --format json`. It names no model; its cost is 0 where it knows no price. */
export function createOpencodeReader(): AgentReader {
  const state = new StreamState();
  const calls = new Memory<true>();
  /** Parts that were told: each comes when it is whole. */
  const told = new Memory<true>();
  let answer: string | undefined;

  const readTool = (part: Fields): AgentEvent[] => {
    const id = name(part.callID);
    if (id === undefined) return [];
    const status = member(part.state, "status");
    const events: AgentEvent[] = [];
    if (!calls.has(id)) {
      calls.set(id, true);
      events.push({
        type: "tool_call",
        id,
        name: name(part.tool) ?? "tool",
        input: bounded(member(part.state, "input")),
      });
    }
    if (status !== "completed" && status !== "error") return events;
    const exitCode = code(member(part.state, "metadata", "exit"));
    const output = said(member(part.state, status === "error" ? "error" : "output"));
    const ok = status === "completed" && (exitCode ?? 0) === 0;
    return [...events, { type: "tool_result", id, ok, output, ...(exitCode === undefined ? {} : { exitCode }) }];
  };

  const readStepEnd = (part: Fields): AgentEvent[] => {
    const { tokens } = part;
    if (fields(tokens) !== undefined) {
      state.turns = (state.turns ?? 0) + 1;
      state.tokens.add(undefined, {
        input: count(member(tokens, "input")) ?? 0,
        output: count(member(tokens, "output")) ?? 0,
        cacheRead: count(member(tokens, "cache", "read")) ?? 0,
        cacheWrite: count(member(tokens, "cache", "write")) ?? 0,
        reasoning: count(member(tokens, "reasoning")) ?? 0,
      });
    }
    const cost = dollars(part.cost) ?? 0;
    if (cost > 0) state.costUsd = dollars((state.costUsd ?? 0) + cost);
    const isLast = part.reason !== "tool-calls";
    return [...state.usage(), ...(isLast && answer !== undefined ? [{ type: "answer" as const, text: answer }] : [])];
  };

  return createLineReader(state, (type, line) => {
    const begun = state.started({ agent: "opencode", sessionId: name(line.sessionID) });
    if (type === "error") {
      const message =
        words(member(line, "error", "data", "message")) ?? words(member(line, "error", "name")) ?? "it has failed";
      state.failed(message);
      return [...begun, { type: "error", message, fatal: true }];
    }
    const part = fields(line.part);
    if (part === undefined) return begun;
    // It goes on: whatever went wrong before was not the end.
    if (type === "step_start") {
      state.outcome = undefined;
      state.turnsBegun = (state.turnsBegun ?? 0) + 1;
    }
    if (type === "tool_use") return [...begun, ...readTool(part)];
    const id = name(part.id);
    if (id !== undefined && type !== "step_start") {
      if (told.has(id)) return begun;
      told.set(id, true);
    }
    if (type === "step_finish") return [...begun, ...readStepEnd(part)];
    const text = words(part.text);
    if (text === undefined || (type !== "text" && type !== "reasoning")) return begun;
    if (type === "text") answer = text;
    const kind = type === "text" ? "text" : "thinking";
    return [...begun, { type: kind, text, ...(id === undefined ? {} : { messageId: id }) }];
  });
}
