/** The headers in which a message of the newer revision says again what it is. */

const PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion";
/** RFC 9110, section 5.1. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
const MAX_PARAMS = 64;
const MAX_DEPTH = 16;
const MAX_VALUE_LENGTH = 4_096;

/** The revision that a message says it is of; those of the older revisions say nothing. */
export function revisionOf(params: Record<string, unknown>): string | undefined {
  const revision = (params._meta as Record<string, unknown> | undefined)?.[PROTOCOL_VERSION];
  return typeof revision === "string" ? revision : undefined;
}

/** `inputSchema` is of the tool that is called: properties of it may want headers of their own. */
export function modernHeaders(
  method: string,
  params: Record<string, unknown>,
  revision: string,
  inputSchema: unknown,
): Record<string, string> {
  const name = params.name ?? params.uri ?? params.taskId;
  return {
    "mcp-protocol-version": revision,
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": encodeHeader(name) } : {}),
    ...paramHeaders(inputSchema, params.arguments),
  };
}

/** As it is where a header can hold it unmistaken, else in base64. */
function encodeHeader(value: string): string {
  const isPlain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith("=?");
  return isPlain ? value : `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

/** `Mcp-Param-NAME` for each property that has `x-mcp-header: NAME` and is reached through `properties` alone. */
function paramHeaders(schema: unknown, args: unknown, depth = 0): Record<string, string> {
  const found: Record<string, string> = {};
  if (depth > MAX_DEPTH || !isObject(schema) || !isObject(schema.properties) || !isObject(args)) return found;
  for (const [name, property] of Object.entries(schema.properties)) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined;
    if (!isObject(property) || value === undefined || value === null) continue;
    const header = property["x-mcp-header"];
    if (typeof header === "string" && TOKEN.test(header)) {
      const text = textOf(property.type, value);
      if (text !== undefined) found[`mcp-param-${header.toLowerCase()}`] = encodeHeader(text);
    }
    Object.assign(found, paramHeaders(property, value, depth + 1));
  }
  return Object.fromEntries(Object.entries(found).slice(0, MAX_PARAMS));
}

function textOf(type: unknown, value: unknown): string | undefined {
  if (type === "string" && typeof value === "string" && value.length <= MAX_VALUE_LENGTH) return value;
  if (type === "boolean" && typeof value === "boolean") return String(value);
  return type === "integer" && Number.isSafeInteger(value) ? String(value) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
