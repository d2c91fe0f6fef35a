import { FirebreakError } from "../../errors/firebreak-error.ts";
import { referTo } from "../config/references.ts";
import { parseMessage, RpcError, type RpcErrorBody } from "../rpc/messages.ts";

/** The server cannot be reached, or does not want to answer; `status` is what it has answered, if it has. */
export function failed(server: string, why: string, more: { status?: number; hint?: string; cause?: unknown } = {}) {
  const { status, hint, cause } = more;
  return new FirebreakError("SERVER_FAILED", `the server '${server}' ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
    details: { server, ...(status === undefined ? {} : { status }) },
  });
}

export function malformed(server: string, why: string): FirebreakError {
  return new FirebreakError("SERVER_PROTOCOL_ERROR", `the server '${server}' does not speak MCP as it should: ${why}`, {
    details: { server },
  });
}

/** The HTTP status that a server has failed with; undefined when it has not answered. */
export function statusOf(thrown: unknown): number | undefined {
  if (thrown instanceof HttpRpcError) return thrown.status;
  if (!(thrown instanceof FirebreakError) || thrown.code !== "SERVER_FAILED") return undefined;
  const { status } = (thrown.details ?? {}) as { status?: unknown };
  return typeof status === "number" ? status : undefined;
}

/** The server's own error, and the HTTP status that it came with. */
export class HttpRpcError extends RpcError {
  readonly status: number;

  constructor(body: RpcErrorBody, status: number) {
    super(body);
    this.status = status;
  }
}

/** What a status that is no success means: the server's own error where it is one. */
export function errorOf(server: string, status: number, text: string): Error {
  const message = parseMessage(Buffer.from(text.trim()));
  if (message?.kind === "error" && status !== 401 && status !== 403) return new HttpRpcError(message.error, status);
  if (status === 401 || status === 403)
    return failed(server, `does not accept what it is sent as a proof of who asks (HTTP ${status})`, {
      status,
      hint: `If it has a login: firebreak server login ${server}. Or put a token into the vault, and name it in the server's headers: Authorization = "Bearer ${referTo("NAME")}"`,
    });
  const detail = /^\s*</.test(text) ? "" : text.trim().replaceAll(/\s+/g, " ").slice(0, 300);
  return failed(server, `answers with HTTP ${status}${detail === "" ? "" : `: ${detail}`}`, { status });
}
