import type { AgentEvent } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import { amount, bounded, code, count, cut, fields, Memory, member, name, said, words } from "./fields.ts";
import { createLineReader, StreamState, withoutAbsent } from "./line-reader.ts";
import { StreamedTexts } from "./streamed-texts.ts";

/** One block a message. */
const BLOCK = "0";

/** `copilot --output-format json`. It tells tokens to nobody but GitHub, and no cost. */
export function createCopilotReader(): AgentReader {
  const state = new StreamState();
  const streamed = { text: new StreamedTexts(), thinking: new StreamedTexts() };
  const calls = new Memory<true>();
  let answer: string | undefined;
  let lastError: string | undefined;
  let failure: { attempt: number | undefined; status: number | undefined; message: string } | undefined;

  const readPiece = (kind: "text" | "thinking", id: string | undefined, value: unknown): AgentEvent[] => {
    const text = words(value);
    if (text === undefined) return [];
    if (id === undefined) return [{ type: kind, text }];
    streamed[kind].add(id, BLOCK, value as string);
    return [{ type: kind, text, messageId: id, isDelta: true }];
  };

  const readWhole = (kind: "text" | "thinking", id: string | undefined, value: unknown): AgentEvent[] => {
    if (typeof value !== "string" || value === "") return [];
    if (id === undefined) return [{ type: kind, text: cut(value) }];
    const { rest, block } = streamed[kind].take(id, value);
    return rest === ""
      ? []
      : [{ type: kind, text: cut(rest), messageId: id, ...(block === undefined ? {} : { isDelta: true }) }];
  };

  const readResult = (line: unknown): AgentEvent[] => {
    const exitCode = code(member(line, "exitCode"));
    if (exitCode === 0) state.outcome = { reason: "completed" };
    else state.failed(lastError ?? `it ended with ${exitCode ?? "no exit code"}`);
    return exitCode === 0 && answer !== undefined ? [{ type: "answer", text: answer }] : [];
  };

  /** Its own models' calls, where it tells of them. */
  const readUsage = (data: unknown): AgentEvent[] => {
    const cached = count(member(data, "cacheReadTokens")) ?? 0;
    state.tokens.add(name(member(data, "model")), {
      input: Math.max(0, (count(member(data, "inputTokens")) ?? 0) - cached),
      output: count(member(data, "outputTokens")) ?? 0,
      cacheRead: cached,
      cacheWrite: count(member(data, "cacheWriteTokens")) ?? 0,
    });
    return state.usage();
  };

  return createLineReader(state, (type, line) => {
    if (type === "result") return readResult(line);
    const data = fields(line.data);
    if (data === undefined) return [];
    const id = name(data.messageId);
    switch (type) {
      case "session.start":
        return state.started({
          agent: "copilot",
          version: name(data.copilotVersion),
          model: name(data.selectedModel),
          sessionId: name(data.sessionId),
        });
      case "session.tools_updated":
        return state.started({ agent: "copilot", model: name(data.model) });
      case "assistant.turn_start":
        state.turns = (state.turns ?? 0) + 1;
        return [];
      case "assistant.message_delta":
        return readPiece("text", id, data.deltaContent);
      case "assistant.reasoning_delta":
        return readPiece("thinking", name(data.reasoningId), data.deltaContent);
      case "assistant.reasoning":
        return readWhole("thinking", name(data.reasoningId), data.content);
      case "assistant.message":
        answer = words(data.content) ?? answer;
        return readWhole("text", id, data.content);
      case "assistant.usage":
        return readUsage(data);
      case "tool.execution_start": {
        const call = name(data.toolCallId);
        if (call === undefined || calls.has(call)) return [];
        calls.set(call, true);
        return [{ type: "tool_call", id: call, name: name(data.toolName) ?? "tool", input: bounded(data.arguments) }];
      }
      case "tool.execution_complete": {
        const call = name(data.toolCallId);
        if (call === undefined) return [];
        const exitCode = code(member(data, "shellExecution", "exitCode"));
        return [
          {
            type: "tool_result",
            id: call,
            ok: data.success === true && (exitCode ?? 0) === 0,
            output: said(member(data, "result", "content") ?? member(data, "error", "message")),
            ...(exitCode === undefined ? {} : { exitCode }),
          },
        ];
      }
      case "model.call_failure":
        failure = {
          attempt: count(data.retryAttempt),
          status: code(data.statusCode),
          message: words(data.errorMessage) ?? "the model has not answered",
        };
        return [];
      case "session.info": {
        if (data.infoType !== "model_retry") return [];
        const { attempt, status, message } = failure ?? {};
        failure = undefined;
        return [
          withoutAbsent<AgentEvent>({
            type: "retry",
            attempt: attempt === undefined ? undefined : Math.min(attempt + 1, Number.MAX_SAFE_INTEGER),
            delayMs: amount(data.retryDelayMs),
            status,
            message: message ?? words(data.message) ?? "the model has not answered",
          }),
        ];
      }
      case "session.error": {
        const message = words(data.message) ?? "it has failed";
        lastError = message;
        return [{ type: "error", message, fatal: true }];
      }
      default:
        return [];
    }
  });
}
