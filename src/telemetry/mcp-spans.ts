import { ERROR_CODES } from "../errors/catalogue.ts";
import type { SpanAttributes, SpanOutcome } from "./tracing.ts";

/**
 * Names and attributes of MCP's requests, as OpenTelemetry's semantic conventions for MCP have them. What they have as opt-in (arguments and results), URIs
 * of resources, which are arguments, and the texts of errors are in no span.
 */

const PROTOCOL_VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
/** Others are the caller's own words, of which there may be any number. */
const METHODS: ReadonlySet<string> = new Set([
  "initialize",
  "server/discover",
  "ping",
  "tools/list",
  "tools/call",
  "prompts/list",
  "prompts/get",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "completion/complete",
  "logging/setLevel",
  "subscriptions/listen",
]);
const OTHER_METHOD = "_OTHER";
const NAME = /^[\w.:/-]{1,128}$/;
const REQUEST_ID = /^[\x21-\x7e]{1,64}$/;
const REVISION = /^\d{4}-\d{2}-\d{2}$/;

/** A request, as far as a span tells of it. */
export interface McpRequest {
  id?: unknown;
  method: string;
  params?: unknown;
}

export interface McpSpan {
  name: string;
  attributes: SpanAttributes;
}

/** `{mcp.method.name} {target}`, the target being a tool or a prompt. */
export function describeRequest({ id, method, params }: McpRequest): McpSpan {
  const known = METHODS.has(method) ? method : OTHER_METHOD;
  const name = wordOf(objectOf(params).name, NAME);
  const tool = known === "tools/call" ? name : undefined;
  const prompt = known === "prompts/get" ? name : undefined;
  const target = tool ?? prompt;
  return {
    name: target === undefined ? known : `${known} ${target}`,
    attributes: {
      "mcp.method.name": known,
      ...optional("jsonrpc.request.id", wordOf(id, REQUEST_ID)),
      ...(known === "tools/call" ? { "gen_ai.operation.name": "execute_tool" } : {}),
      ...optional("gen_ai.tool.name", tool),
      ...optional("gen_ai.prompt.name", prompt),
      ...optional("mcp.protocol.version", revisionOf(params)),
    },
  };
}

/** The revision that a request of the newer revision names. */
export function revisionOf(params: unknown): string | undefined {
  return wordOf(objectOf(objectOf(params)._meta)[PROTOCOL_VERSION_KEY], REVISION);
}

/** The revision that an `initialize` has led to. */
export function agreedRevision(result: unknown): string | undefined {
  return wordOf(objectOf(result).protocolVersion, REVISION);
}

/** What an answer's result says of how the request went: a tool that has failed is no error of the protocol's. */
export function outcomeOfResult(result: unknown): SpanOutcome {
  const { isError, _meta } = objectOf(result);
  if (isError !== true) return {};
  const { code } = objectOf(objectOf(_meta)["firebreak/error"]);
  return {
    "error.type": "tool_error",
    ...(typeof code === "string" && Object.hasOwn(ERROR_CODES, code) ? { "firebreak.error.code": code } : {}),
  };
}

/** The same for an answer that is an error of JSON-RPC's. */
export function outcomeOfError(error: unknown): SpanOutcome {
  const { code } = objectOf(error);
  const text = Number.isSafeInteger(code) ? String(code) : "_OTHER";
  return { "error.type": text, "rpc.response.status_code": text };
}

export function optional(key: string, value: string | number | undefined): SpanAttributes {
  return value === undefined ? {} : { [key]: value };
}

function wordOf(value: unknown, form: RegExp): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && form.test(value) ? value : undefined;
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
