import { CALL_CLAIMED, type CallRequest, MAX_ANSWER_CHARS } from "../contract/call.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { CallOptions, DaemonHttp } from "./daemon-http.ts";

/** A call that is ours to make. The daemon counts it as lost when we go away before we have said how it ended. */
export interface ClaimedCall {
  /** Keeps the answer, for whoever makes the same call again. */
  finish(answer: string): Promise<void>;
  /** Nothing has been done: the key is free again. */
  release(): Promise<void>;
}

/** What becomes of a call with an idempotency key. */
export type CallClaim = { call: ClaimedCall } | { answer: string };

/** Claims a call, or waits for the answer of whoever has claimed it. */
export async function claimCall(http: DaemonHttp, request: CallRequest, options: CallOptions): Promise<CallClaim> {
  const held = new AbortController();
  // The caller's signal ends the waiting; what has been claimed is let go of by saying how it ended.
  const signal = options.signal;
  const onAbort = () => held.abort();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const path = "/v1/calls";
  const lines = http.progress<{ answer?: string }>("POST", path, request, { signal: held.signal });
  try {
    for (;;) {
      const { value: line, done } = await lines.next();
      if (done) throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended during the request");
      if ("result" in line) {
        if (line.result.answer === undefined)
          throw new FirebreakError("INTERNAL", "a call was answered without an answer");
        return { answer: line.result.answer };
      }
      if (line.progress.step === CALL_CLAIMED)
        return { call: claimed(http, `${path}/${line.progress.message}`, lines) };
      options.onProgress?.(line.progress);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function claimed(http: DaemonHttp, path: string, lines: AsyncGenerator<unknown>): ClaimedCall {
  // Read to its end, so that the connection stays until the daemon closes it.
  const ended = (async () => {
    for await (const _ of lines);
  })().catch(() => {});
  return {
    finish: async (answer) => {
      await http.json("PUT", path, {}, answer.length > MAX_ANSWER_CHARS ? {} : { answer });
      await ended;
    },
    release: async () => {
      await http.json("DELETE", path);
      await ended;
    },
  };
}
