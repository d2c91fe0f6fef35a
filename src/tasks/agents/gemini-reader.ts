import type { AgentEvent } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import {
  bounded,
  count,
  cut,
  type Fields,
  fields,
  MAX_PARTS,
  MAX_TEXT,
  Memory,
  member,
  name,
  said,
  words,
} from "./fields.ts";
import { createLineReader, StreamState } from "./line-reader.ts";

/** `gemini -o stream-json`. It names no cost. */
export function createGeminiReader(): AgentReader {
  const state = new StreamState();
  const calls = new Memory<true>();
  // Its pieces have no id: those without a tool's call between them are one message.
  let message = 0;
  let isOpen = false;
  let answer = "";

  const readMessage = (line: Fields): AgentEvent[] => {
    if (line.role !== "assistant") return [];
    const text = words(line.content);
    if (text === undefined) return [];
    if (!isOpen || line.delta !== true) {
      message++;
      answer = "";
    }
    isOpen = line.delta === true;
    if (answer.length <= MAX_TEXT) answer += text;
    return [{ type: "text", text, messageId: `message-${message}`, ...(isOpen ? { isDelta: true } : {}) }];
  };

  const readUsage = (stats: unknown): AgentEvent[] => {
    const models = Object.entries(fields(member(stats, "models")) ?? {}).slice(0, MAX_PARTS);
    for (const [model, usage] of models.length > 0 ? models : [[undefined, stats] as const]) {
      if (fields(usage) === undefined) continue;
      const cached = count(member(usage, "cached")) ?? 0;
      state.tokens.raise(name(model), {
        input: Math.max(0, (count(member(usage, "input_tokens")) ?? 0) - cached),
        output: count(member(usage, "output_tokens")) ?? 0,
        cacheRead: cached,
      });
    }
    return state.usage();
  };

  const readResult = (line: Fields): AgentEvent[] => {
    const usage = readUsage(line.stats);
    if (line.status === "success") {
      state.outcome = { reason: "completed" };
      return [...usage, ...(answer === "" ? [] : [{ type: "answer" as const, text: cut(answer) }])];
    }
    const why = words(member(line, "error", "message")) ?? "it has failed";
    state.failed(why, member(line, "error", "type") === "FatalTurnLimitedError" ? "budget" : "failed");
    return [...usage, { type: "error", message: why, fatal: true }];
  };

  return createLineReader(state, (type, line) => {
    if (type === "init")
      return state.started({ agent: "gemini", model: name(line.model), sessionId: name(line.session_id) });
    if (type === "message") return readMessage(line);
    if (type === "result") return readResult(line);
    if (type === "error") {
      const why = words(line.message);
      return why === undefined ? [] : [{ type: "error", message: why, fatal: false }];
    }
    const id = name(line.tool_id);
    if (id === undefined) return [];
    isOpen = false;
    if (type === "tool_use" && !calls.has(id)) {
      calls.set(id, true);
      return [{ type: "tool_call", id, name: name(line.tool_name) ?? "tool", input: bounded(line.parameters) }];
    }
    if (type !== "tool_result") return [];
    const output = said(line.output ?? member(line, "error", "message"));
    return [{ type: "tool_result", id, ok: line.status === "success", output }];
  });
}
