import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { isJsonContentType } from "@modelcontextprotocol/server";
import { RPC_ERROR, refuse } from "./answers.ts";

/** The largest message that is taken, bytes. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Objects and arrays in one another; the deepest message of the protocol has some ten. */
export const MAX_JSON_DEPTH = 64;

/** How long a client may take to send a message, ms. */
const BODY_DEADLINE_MS = 30_000;

/** The message that a POST carries, or the answer to one that carries none. */
export async function readMessage(incoming: IncomingMessage): Promise<{ value: unknown } | Response> {
  if (!isJsonContentType(incoming.headers["content-type"])) {
    const message = "Unsupported Media Type: a message is application/json";
    return refuse(415, { code: RPC_ERROR.transport, message });
  }
  const body = await readBody(incoming);
  if (body === "too large") {
    const message = `Payload Too Large: a message is at most ${MAX_BODY_BYTES} bytes`;
    return refuse(413, { code: RPC_ERROR.transport, message });
  }
  if (body === "too slow") return refuse(408, { code: RPC_ERROR.transport, message: "Request Timeout" });
  if (isNestedDeeperThan(body)) {
    const message = `Invalid Request: nested deeper than ${MAX_JSON_DEPTH} levels`;
    return refuse(400, { code: RPC_ERROR.invalidRequest, message });
  }
  try {
    return { value: JSON.parse(body.toString("utf8")) };
  } catch {
    return refuse(400, { code: RPC_ERROR.parse, message: "Parse error: the body is not JSON" });
  }
}

/** A bounded body. What is refused is read on and thrown away: closing with bytes unread would take the answer with them. */
export function readBody(
  source: Readable & { headers?: IncomingMessage["headers"] },
  maxBytes = MAX_BODY_BYTES,
  deadlineMs = BODY_DEADLINE_MS,
): Promise<Buffer | "too large" | "too slow"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (outcome: Buffer | "too large" | "too slow") => {
      clearTimeout(timer);
      source.off("data", take);
      if (!(outcome instanceof Buffer)) source.resume();
      resolve(outcome);
    };
    const timer = setTimeout(() => settle("too slow"), deadlineMs);
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) settle("too large");
      else chunks.push(chunk);
    };
    // Nobody reads the answer to what was broken off; it is no message in any case.
    const end = () => settle(Buffer.concat(chunks));
    if (Number(source.headers?.["content-length"] ?? 0) > maxBytes) return settle("too large");
    source.on("data", take);
    for (const event of ["end", "close", "error"]) source.once(event, end);
  });
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Whether JSON nests deeper than `maxDepth`, found out before it is parsed: what walks a value afterwards calls itself once for
 * each level. Says nothing of whether it is JSON.
 */
export function isNestedDeeperThan(json: Uint8Array, maxDepth = MAX_JSON_DEPTH): boolean {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < json.length; index++) {
    const byte = json[index] as number;
    if (isInString) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) isInString = true;
    else if (OPENING.has(byte)) {
      depth++;
      if (depth > maxDepth) return true;
    } else if (CLOSING.has(byte)) depth--;
  }
  return false;
}
