import type { ServerResponse } from "node:http";
import type { z } from "zod";
import type { StreamLine } from "../../contract/daemon.ts";
import type { Progress } from "../../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { type ApiContext, answerRaw } from "./context.ts";

/** Parses a caller's value; the first fault becomes INVALID_ARGUMENT with the field's name. */
export function parseRequest<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".");
  const code = field === "name" || field === "vm.name" ? "INVALID_NAME" : "INVALID_ARGUMENT";
  // Of a key that is malformed zod says only that it is.
  const fault = issue?.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue?.message;
  throw new FirebreakError(code, field ? `${field}: ${fault}` : (fault ?? "the request is malformed"), {
    ...(field ? { details: { field } } : {}),
  });
}

/** A guest path from a request: absolute, without NUL. */
export function parseGuestPath(value: string | undefined): string {
  if (value === undefined || value === "") throw new FirebreakError("INVALID_PATH", "a path in the guest is missing");
  if (!value.startsWith("/")) {
    throw new FirebreakError("INVALID_PATH", `'${value}' is not an absolute path`, {
      hint: `Paths in the guest begin with '/', such as /root/${value}.`,
    });
  }
  if (value.includes("\0")) throw new FirebreakError("INVALID_PATH", "a path cannot hold a NUL");
  return value;
}

export function parseCount(value: string | undefined, field: string): number | undefined {
  if (value === undefined || value === "") return undefined;
  if (!/^\d{1,15}$/.test(value))
    throw new FirebreakError("INVALID_ARGUMENT", `${field}: '${value}' is not a whole number from 0 on`);
  return Number(value);
}

export function parseMode(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (!/^[0-7]{3,4}$/.test(value))
    throw new FirebreakError("INVALID_ARGUMENT", `mode: '${value}' is not an octal mode such as 0644`);
  return value;
}

/** Aborts when the caller hangs up before the answer has been sent whole. */
export function signalOfCaller(outgoing: ServerResponse): AbortSignal {
  const aborter = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) aborter.abort();
  });
  return aborter.signal;
}

/** The same for whoever has no other use of the answer's stream. */
export function callerSignal(context: ApiContext): AbortSignal {
  return signalOfCaller(context.env.outgoing as ServerResponse);
}

/** Answers with progress lines and what `work` results in; `signal` aborts when the caller hangs up. */
export function answerProgress<T>(
  context: ApiContext,
  work: (options: { onProgress: (progress: Progress) => void; signal: AbortSignal }) => Promise<T>,
): Promise<Response> {
  return answerRaw(context, (_incoming, outgoing) => {
    const signal = signalOfCaller(outgoing);
    return answerLines(outgoing, (onProgress) => work({ onProgress, signal }));
  });
}

/** Answers with progress lines, then the result or the error, each one line of JSON. */
export async function answerLines<T>(
  outgoing: ServerResponse,
  work: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<void> {
  outgoing.writeHead(200, { "content-type": "application/x-ndjson" });
  const write = (line: StreamLine<T>) => outgoing.write(`${JSON.stringify(line)}\n`);
  try {
    const result = await work((progress) => void write({ progress }));
    write({ result });
  } catch (error) {
    write({ error: toFirebreakError(error).toBody() });
  }
  outgoing.end();
}
