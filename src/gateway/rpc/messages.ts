import { z } from "zod";

/** JSON-RPC 2.0 as MCP has it. What a server sends is hostile: its envelope is checked here, its results go on to whoever asked. */

export const RPC_CODE = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
} as const;

const MAX_NESTING = 256;

const idSchema = z.union([z.string().max(1_024), z.number()]);
export type RpcId = z.infer<typeof idSchema>;

const objectSchema = z.record(z.string(), z.unknown());
const methodSchema = z.string().min(1).max(256);
const errorSchema = z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() });

export interface RpcErrorBody {
  code: number;
  message: string;
  data?: unknown;
}

export type RpcMessage =
  | { kind: "request"; id: RpcId; method: string; params: Record<string, unknown> }
  | { kind: "notification"; method: string; params: Record<string, unknown> }
  | { kind: "result"; id: RpcId; result: Record<string, unknown> }
  | { kind: "error"; id: RpcId | null; error: RpcErrorBody };

/** One message; undefined for what is none: servers print all sorts of things to their standard output. */
export function parseMessage(line: Buffer): RpcMessage | undefined {
  // Most of what is no message shows it with its first byte.
  if (line[0] !== 0x7b && line[0] !== 0x20 && line[0] !== 0x09) return undefined;
  if (isDeep(line)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const message = value as Record<string, unknown>;
  if (message.jsonrpc !== "2.0") return undefined;
  if (message.method !== undefined) return parseCall(message);
  const id = message.id === null ? null : idSchema.safeParse(message.id).data;
  if (id === undefined) return undefined;
  const error = errorSchema.safeParse(message.error);
  if (message.error !== undefined) return error.success ? { kind: "error", id, error: error.data } : undefined;
  const result = objectSchema.safeParse(message.result);
  return result.success && id !== null ? { kind: "result", id, result: result.data } : undefined;
}

const EDGE_BYTES = 1_024;
const ANSWERED_ID = /"id"\s*:\s*(\d{1,16})\s*[,}]/g;

/**
 * Ids that a line which is no message may be meant to answer: too long, too deep, malformed. Of what servers print to their standard output
 * besides, nothing looks like a message.
 */
export function findAnsweredIds(line: Buffer): number[] {
  if (line[0] !== 0x7b) return [];
  const edges = `${line.subarray(0, EDGE_BYTES).toString("latin1")}\n${line.subarray(-EDGE_BYTES).toString("latin1")}`;
  if (!edges.includes('"jsonrpc"')) return [];
  return [...edges.matchAll(ANSWERED_ID)].map(([, id]) => Number(id));
}

/** Whether brackets are nested beyond what any program writes: what reads or writes such a value runs out of stack. */
function isDeep(line: Buffer): boolean {
  if (line.length <= MAX_NESTING) return false;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < line.length; at++) {
    const byte = line[at];
    if (byte === 0x22) isText = !isText;
    else if (byte === 0x5c) at++;
    else if (isText) continue;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_NESTING) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}

function parseCall(message: Record<string, unknown>): RpcMessage | undefined {
  const method = methodSchema.safeParse(message.method);
  const params = message.params === undefined ? { success: true, data: {} } : objectSchema.safeParse(message.params);
  if (!method.success || params.data === undefined) return undefined;
  const about = { method: method.data, params: params.data as Record<string, unknown> };
  if (message.id === undefined) return { kind: "notification", ...about };
  const id = idSchema.safeParse(message.id);
  return id.success ? { kind: "request", id: id.data, ...about } : undefined;
}

/** What a server answers a request with in the place of a result. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor({ code, message, data }: RpcErrorBody) {
    super(message);
    this.code = code;
    this.data = data;
  }
}
