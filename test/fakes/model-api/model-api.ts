import { z } from "zod";

/** A tool as a client shows it to the model. */
export interface OfferedTool {
  /** As the model must call it, with whatever the client puts before the server's own name. */
  name: string;
  /** Where the API has them (OpenAI Responses): the group that the name is in. */
  namespace?: string;
  description: string;
  /** JSON Schema of the arguments. */
  parameters: Record<string, unknown>;
}

/** A tool's whole name, which is what providers limit. */
export const fullName = ({ name, namespace }: Pick<OfferedTool, "name" | "namespace">): string =>
  namespace === undefined ? name : `${namespace}__${name}`;

/** One request of a client to the model, as far as the model looks into it. */
export interface Turn {
  model: string;
  isStreamed: boolean;
  tools: OfferedTool[];
  /** What tools have answered in this conversation so far, oldest first. */
  toolResults: string[];
  /** The answer has to be JSON, as Gemini CLI asks for when it chooses a model. */
  wantsJson?: boolean;
}

/** Tokens that a reply says it has used. */
export interface Usage {
  /** All of the input, with what came from a cache. */
  input: number;
  cached: number;
  output: number;
}

const USAGE: Usage = { input: 10, cached: 0, output: 5 };

/** What the model says: words, or a call of one tool. */
export type Reply = ({ text: string } | { tool: OfferedTool; args: Record<string, unknown> }) & {
  usage?: Usage;
};

export const usageOf = (reply: Reply): Usage => reply.usage ?? USAGE;

/** What a provider says in the place of its model. */
export interface Refusal {
  /** Such as 401, 429, 529. */
  status: number;
  message?: string;
  retryAfterSeconds?: number;
}

/** How an answer comes. */
export interface Pace {
  /** Before anything is sent. */
  waitMs?: number;
  /** Between the events of a stream. */
  eventMs?: number;
  /** The connection breaks behind that many events of a stream. */
  cutAfter?: number;
}

export type Answer = (Reply | Refusal) & Pace;

export interface HttpAnswer {
  contentType: "application/json" | "text/event-stream";
  body: string;
}

/** A model provider's HTTP API: how requests are read, and how replies are written. */
export interface ModelApi {
  name: string;
  /** Whether a POST to this path asks the model for a reply. */
  isTurn: (path: string) => boolean;
  read: (path: string, body: unknown) => Turn;
  write: (turn: Turn, reply: Reply) => HttpAnswer;
  /** What else a client asks for, such as a count of tokens; anything that is not answered here is 404. */
  answerAside?: (method: string, path: string) => unknown;
}

export const jsonAnswer = (value: unknown): HttpAnswer => ({
  contentType: "application/json",
  body: JSON.stringify(value),
});

/** Server-sent events, each named by its data's `type` where `isNamed`. */
export function eventsAnswer(events: Record<string, unknown>[], { isNamed }: { isNamed: boolean }): HttpAnswer {
  const frames = events.map((event) => `${isNamed ? `event: ${event.type}\n` : ""}data: ${JSON.stringify(event)}\n\n`);
  return { contentType: "text/event-stream", body: frames.join("") };
}

/** A JSON Schema. */
export const schemaField = z.record(z.string(), z.unknown()).default({});

/** The words of a tool's result, whichever way an API wraps them: text, a list of parts, an object. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(textOf).join("\n");
  if (typeof value !== "object" || value === null) return String(value ?? "");
  return "text" in value && typeof value.text === "string" ? value.text : JSON.stringify(value);
}
