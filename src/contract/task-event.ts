import { z } from "zod";

/** What happens in a task, in one form for all agents. Each task has a log of them, numbered from 1 without a gap. */

const count = z.number().int().nonnegative();

/** Tokens, of one model where the agent says which. `input` is without what came from a cache. */
export const tokensSchema = z.object({
  model: z.string().max(200).optional(),
  input: count.default(0),
  output: count.default(0),
  cacheRead: count.default(0),
  cacheWrite: count.default(0),
  reasoning: count.default(0).describe("a part of `output`, where the agent says so"),
});
export type Tokens = z.output<typeof tokensSchema>;

/** Where a cost in US dollars is from: the agent's own figure, or tokens times a table of prices. */
export const COST_SOURCES = ["reported", "prices"] as const;
/** No task costs more, whatever its agent says: sums of as many as there may ever be stay numbers that JSON has. */
export const MAX_COST_USD = 1_000_000_000;
export const costSchema = z.object({
  usd: z.number().nonnegative().max(MAX_COST_USD),
  source: z.enum(COST_SOURCES),
});
export type Cost = z.output<typeof costSchema>;

/** `completed`: by itself, with success. `failed`: by itself, without. `lost`: the machine below it. */
export const FINISH_REASONS = ["completed", "failed", "cancelled", "timeout", "budget", "lost"] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

/** What an agent's stream is read into. */
export const agentEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("started"),
    agent: z.string(),
    version: z.string().optional(),
    model: z.string().optional(),
    sessionId: z.string().optional(),
  }),
  z.object({
    type: z.literal("text"),
    text: z.string(),
    /** Of a message that comes in pieces: what has the same id belongs together, in order. */
    messageId: z.string().optional(),
    isDelta: z.boolean().optional(),
  }),
  z.object({
    type: z.literal("thinking"),
    text: z.string(),
    messageId: z.string().optional(),
    isDelta: z.boolean().optional(),
  }),
  z.object({ type: z.literal("tool_call"), id: z.string(), name: z.string(), input: z.unknown() }),
  z.object({
    type: z.literal("tool_result"),
    id: z.string(),
    ok: z.boolean(),
    output: z.string(),
    exitCode: z.number().int().optional(),
  }),
  /** All tokens so far, not those since the last one: a list, one for each model. */
  z.object({
    type: z.literal("usage"),
    tokens: z.array(tokensSchema),
    cost: costSchema.optional(),
    turns: count.optional(),
  }),
  z.object({
    type: z.literal("retry"),
    attempt: count.optional(),
    delayMs: z.number().nonnegative().optional(),
    status: z.number().int().optional(),
    message: z.string(),
  }),
  z.object({ type: z.literal("error"), message: z.string(), fatal: z.boolean() }),
  /** What a program has printed that is no event of an agent: whole lines where there are any. */
  z.object({
    type: z.literal("output"),
    stream: z.enum(["stdout", "stderr"]),
    text: z.string().optional(),
    /** In the place of `text`, of bytes that are no UTF-8. */
    base64: z.string().optional(),
  }),
  /** The agent's own last word. */
  z.object({ type: z.literal("answer"), text: z.string() }),
]);
export type AgentEvent = z.output<typeof agentEventSchema>;

/** What firebreak itself adds. */
export const taskOwnEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("state"), state: z.string(), attempt: count, reason: z.string().optional() }),
  /** Output that is lost, with the reason: nothing is left out without one. */
  z.object({ type: z.literal("gap"), bytes: count, reason: z.string() }),
  z.object({
    type: z.literal("finished"),
    reason: z.enum(FINISH_REASONS),
    exitCode: z.number().int().optional(),
    signal: z.string().optional(),
    message: z.string().optional(),
    tokens: z.array(tokensSchema),
    cost: costSchema.optional(),
  }),
]);

export const taskEventSchema = z.intersection(
  z.object({
    seq: z.number().int().min(1),
    at: z.string(),
    /** The line that it was read from; of several events of one line the first has it. */
    raw: z.string().optional(),
  }),
  z.union([agentEventSchema, taskOwnEventSchema]),
);
export type TaskOwnEvent = z.output<typeof taskOwnEventSchema>;
export type TaskEventBody = AgentEvent | TaskOwnEvent;
export type TaskEvent = TaskEventBody & { seq: number; at: string; raw?: string | undefined };
