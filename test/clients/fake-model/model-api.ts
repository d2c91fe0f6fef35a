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
}

/** What the model says: words, or a call of one tool. */
export type Reply = { text: string } | { tool: OfferedTool; args: Record<string, unknown> };

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
