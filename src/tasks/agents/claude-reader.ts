import type { AgentEvent, Tokens } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import {
  amount,
  bounded,
  code,
  count,
  cut,
  dollars,
  type Fields,
  fields,
  list,
  MAX_PARTS,
  Memory,
  member,
  name,
  said,
  words,
} from "./fields.ts";
import { createLineReader, StreamState, withoutAbsent } from "./line-reader.ts";
import { StreamedTexts } from "./streamed-texts.ts";

type Counts = Omit<Tokens, "model">;
type Kind = "text" | "thinking";

/** What ends a run because its user has said so. */
const LIMITS = new Set(["error_max_budget_usd", "error_max_turns"]);
/** The model of messages that Claude Code makes up itself, such as those of errors. */
const SYNTHETIC = "<synthetic>";

/** `--output-format stream-json --verbose`, with and without partial messages. */
export function createClaudeReader(): AgentReader {
  const state = new StreamState();
  const streamed = { text: new StreamedTexts(), thinking: new StreamedTexts() };
  /** What each message has said to have used: it says so more than once. */
  const used = new Memory<Counts>();
  const calls = new Memory<true>();
  let current: { id: string; model: string | undefined } | undefined;
  let lastError: string | undefined;

  const addUsage = (id: string | undefined, model: string | undefined, usage: unknown): void => {
    if (id === undefined || model === SYNTHETIC || fields(usage) === undefined) return;
    const counts = readCounts(usage);
    const before = used.get(id);
    if (before === undefined) state.turns = (state.turns ?? 0) + 1;
    const now = before === undefined ? counts : greater(before, counts);
    used.set(id, now);
    state.tokens.add(model, before === undefined ? now : less(now, before));
  };

  const readPiece = (event: unknown): AgentEvent[] => {
    const type = member(event, "type");
    if (type === "message_start") {
      const id = name(member(event, "message", "id"));
      current = id === undefined ? undefined : { id, model: name(member(event, "message", "model")) };
      return [];
    }
    if (current === undefined) return [];
    if (type === "message_delta") {
      addUsage(current.id, current.model, member(event, "usage"));
      return state.usage();
    }
    if (type !== "content_block_delta") return [];
    const block = String(count(member(event, "index")) ?? 0);
    const delta = member(event, "delta");
    const kind = member(delta, "type") === "thinking_delta" ? "thinking" : "text";
    const piece = words(member(delta, kind));
    if (piece === undefined) return [];
    // As it came, so that it is found in the whole text again.
    streamed[kind].add(current.id, block, member(delta, kind) as string);
    return [{ type: kind, text: piece, messageId: `${current.id}/${block}`, isDelta: true }];
  };

  const readText = (kind: Kind, id: string | undefined, value: unknown): AgentEvent[] => {
    if (typeof value !== "string" || value === "") return [];
    if (id === undefined) return [{ type: kind, text: cut(value) }];
    const { rest, block } = streamed[kind].take(id, value);
    if (rest === "") return [];
    return block === undefined
      ? [{ type: kind, text: cut(rest), messageId: id }]
      : [{ type: kind, text: cut(rest), messageId: `${id}/${block}`, isDelta: true }];
  };

  const readAssistant = (line: Fields): AgentEvent[] => {
    const message = member(line, "message");
    const id = name(member(message, "id"));
    const model = name(member(message, "model"));
    const content = member(message, "content");
    if (member(line, "is_api_error_message") === true || model === SYNTHETIC) {
      const told = words(said(content));
      if (told === undefined || member(line, "is_api_error_message") !== true) return [];
      lastError = told;
      return [{ type: "error", message: told, fatal: name(member(line, "parent_tool_use_id")) === undefined }];
    }
    const events = list(content).flatMap((block): AgentEvent[] => {
      if (block.type === "text") return readText("text", id, block.text);
      if (block.type === "thinking") return readText("thinking", id, block.thinking);
      if (block.type !== "tool_use") return [];
      const call = name(block.id);
      const tool = name(block.name);
      if (call === undefined || tool === undefined || calls.has(call)) return [];
      calls.set(call, true);
      return [{ type: "tool_call", id: call, name: tool, input: bounded(block.input) }];
    });
    addUsage(id, model, member(message, "usage"));
    return [...events, ...state.usage()];
  };

  const readResult = (line: Fields): AgentEvent[] => {
    const models = Object.entries(fields(line.modelUsage) ?? {}).slice(0, MAX_PARTS);
    const all = models.map(([model, usage]) => ({
      model: name(model),
      counts: {
        input: count(member(usage, "inputTokens")) ?? 0,
        output: count(member(usage, "outputTokens")) ?? 0,
        cacheRead: count(member(usage, "cacheReadInputTokens")) ?? 0,
        cacheWrite: count(member(usage, "cacheCreationInputTokens")) ?? 0,
        reasoning: count(member(usage, "thinkingTokens")) ?? 0,
      },
    }));
    // Its last word counts: subagents and what it asks by itself are in it.
    if (all.length > 0) state.tokens.replace(all);
    state.costUsd = dollars(line.total_cost_usd) ?? state.costUsd;
    state.turns = count(line.num_turns) ?? state.turns;
    const answer = words(line.result);
    const errors = Array.isArray(line.errors) ? said(line.errors) : "";
    const subtype = name(line.subtype) ?? "";
    const hasFailed = line.is_error === true || subtype.startsWith("error");
    if (!hasFailed) {
      state.outcome = { reason: "completed" };
      return [...state.usage(), ...(answer === undefined ? [] : [{ type: "answer" as const, text: answer }])];
    }
    const message = words(errors) ?? answer ?? (subtype === "" ? "it has failed" : subtype);
    state.failed(message, LIMITS.has(subtype) ? "budget" : "failed");
    return [...state.usage(), ...(message === lastError ? [] : [{ type: "error" as const, message, fatal: true }])];
  };

  return createLineReader(state, (type, line) => {
    if (type === "stream_event") return readPiece(line.event);
    if (type === "assistant") return readAssistant(line);
    if (type === "user") return readToolResults(line);
    if (type === "result") return readResult(line);
    if (type !== "system") return [];
    if (line.subtype === "init")
      return state.started({
        agent: "claude",
        version: name(line.claude_code_version),
        model: name(line.model),
        sessionId: name(line.session_id),
      });
    return line.subtype === "api_retry" ? [readRetry(line)] : [];
  });
}

function readRetry(line: Fields): AgentEvent {
  return withoutAbsent<AgentEvent>({
    type: "retry",
    attempt: count(line.attempt),
    delayMs: amount(line.retry_delay_ms),
    status: code(line.error_status),
    message: words(line.error) ?? "the model has not answered",
  });
}

function readToolResults(line: Fields): AgentEvent[] {
  return list(member(line, "message", "content")).flatMap((block): AgentEvent[] => {
    const id = name(block.tool_use_id);
    if (block.type !== "tool_result" || id === undefined) return [];
    const ok = block.is_error !== true;
    const output = said(block.content);
    const [, exit] = ok ? [] : (/^(?:Error: )?Exit code (\d{1,9})\b/.exec(output) ?? []);
    return [{ type: "tool_result", id, ok, output, ...(exit === undefined ? {} : { exitCode: Number(exit) }) }];
  });
}

function readCounts(usage: unknown): Counts {
  return {
    input: count(member(usage, "input_tokens")) ?? 0,
    output: count(member(usage, "output_tokens")) ?? 0,
    cacheRead: count(member(usage, "cache_read_input_tokens")) ?? 0,
    cacheWrite: count(member(usage, "cache_creation_input_tokens")) ?? 0,
    reasoning: count(member(usage, "output_tokens_details", "thinking_tokens")) ?? 0,
  };
}

const KINDS = ["input", "output", "cacheRead", "cacheWrite", "reasoning"] as const;

function combine(a: Counts, b: Counts, of: (x: number, y: number) => number): Counts {
  const [input, output, cacheRead, cacheWrite, reasoning] = KINDS.map((kind) => of(a[kind], b[kind])) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { input, output, cacheRead, cacheWrite, reasoning };
}

const greater = (a: Counts, b: Counts) => combine(a, b, Math.max);
const less = (a: Counts, b: Counts) => combine(a, b, (x, y) => x - y);
