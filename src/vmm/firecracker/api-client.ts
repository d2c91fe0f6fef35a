import http from "node:http";
import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { stripControl } from "../../platform/terminal-text.ts";

/** One call of Firecracker's API (its OpenAPI document: src/firecracker/swagger/firecracker.yaml of its repository). */
export interface ApiRequest {
  method: "GET" | "PUT" | "PATCH";
  path: string;
  body?: Record<string, unknown>;
}

/** Firecracker's answers are short; a VMM that its guest has taken over may send anything. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** What an error tells of a fault, which may hold a whole configuration. */
const MAX_FAULT_CHARS = 500;
/** One that stands still is not waited for: what waits for it holds up the VM, or a daemon's start. */
const ANSWER_DEADLINE_MS = 10_000;

const faultSchema = z.object({ fault_message: z.string() });

/** A client of one Firecracker's API socket. Each call is a connection of its own: nothing has to be kept for another daemon to go on. */
export class FirecrackerApi {
  readonly #socketPath: string;
  readonly #deadlineMs: number;

  constructor(socketPath: string, options: { deadlineMs?: number } = {}) {
    this.#socketPath = socketPath;
    this.#deadlineMs = options.deadlineMs ?? ANSWER_DEADLINE_MS;
  }

  /**
   * The answer's body, undefined for 204. Throws VMM_PROTOCOL_ERROR (refused, with Firecracker's words, `details.status` and `details.fault`; or no
   * answer of the API), VM_CRASHED (nobody listens, or the connection ended), DEADLINE_EXCEEDED or OPERATION_CANCELED.
   */
  async call(request: ApiRequest, options: { deadlineMs?: number; signal?: AbortSignal } = {}): Promise<unknown> {
    const { method, path } = request;
    const { status, body } = await this.#exchange(request, options);
    if (status === 204) return undefined;
    const answer = parseJson(body);
    if (status === 200 && answer !== undefined) return answer;
    const fault = faultSchema.safeParse(answer);
    if (!fault.success) {
      throw new FirebreakError(
        "VMM_PROTOCOL_ERROR",
        `Firecracker answered ${method} ${path} with ${status} and no reason`,
        {
          details: { status },
        },
      );
    }
    const words = stripControl(fault.data.fault_message).slice(0, MAX_FAULT_CHARS);
    throw new FirebreakError("VMM_PROTOCOL_ERROR", `Firecracker refused ${method} ${path}: ${words}`, {
      details: { status, fault: words },
    });
  }

  /** Calls in order; the first that is refused ends it. */
  async callAll(requests: ApiRequest[], signal?: AbortSignal): Promise<void> {
    for (const request of requests) await this.call(request, signal === undefined ? {} : { signal });
  }

  #exchange(
    { method, path, body }: ApiRequest,
    options: { deadlineMs?: number; signal?: AbortSignal },
  ): Promise<{ status: number; body: Buffer }> {
    const deadlineMs = options.deadlineMs ?? this.#deadlineMs;
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    // Its server knows no chunked bodies: the length is always told.
    const headers =
      content === undefined
        ? { accept: "application/json" }
        : { accept: "application/json", "content-type": "application/json", "content-length": content.length };
    return new Promise((resolve, reject) => {
      const fail = (error: Error) =>
        reject(this.#describeFailure(error, `${method} ${path}`, deadlineMs, options.signal));
      const request = http.request({ socketPath: this.#socketPath, method, path, headers, agent: false, signal });
      request.once("error", fail);
      // A VMM that changes the protocol, which nobody asked for, is told of by this alone: without it the call would never end.
      request.once("upgrade", (_, socket) => {
        socket.destroy();
        reject(
          new FirebreakError("VMM_PROTOCOL_ERROR", `Firecracker's answer to ${method} ${path} is none of its API`),
        );
      });
      request.once("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > MAX_ANSWER_BYTES)
            response.destroy(
              new FirebreakError("VMM_PROTOCOL_ERROR", `Firecracker's answer to ${method} ${path} does not end`),
            );
        });
        response.once("error", fail);
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      });
      request.end(content);
    });
  }

  #describeFailure(error: Error, call: string, deadlineMs: number, signal: AbortSignal | undefined): FirebreakError {
    if (error instanceof FirebreakError) return error;
    const cause = { cause: error };
    if (signal?.aborted) return new FirebreakError("OPERATION_CANCELED", `${call} of Firecracker was cancelled`, cause);
    if (error.name === "AbortError")
      return new FirebreakError(
        "DEADLINE_EXCEEDED",
        `Firecracker did not answer ${call} within ${deadlineMs} ms`,
        cause,
      );
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith("HPE_"))
      return new FirebreakError("VMM_PROTOCOL_ERROR", `Firecracker's answer to ${call} is no HTTP`, cause);
    return new FirebreakError("VM_CRASHED", `Firecracker is not there for ${call} (${code ?? error.message})`, cause);
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
