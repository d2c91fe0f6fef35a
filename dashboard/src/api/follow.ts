import { ApiError, fetchApi, withQuery } from "./client.ts";
import { type ServerSentEvent, SseParser } from "./sse.ts";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;

export interface FollowOptions {
  /** Path and query to ask for what comes after the last event that was seen: asked anew for each connection. */
  path: () => { path: string; query?: Record<string, string | number | undefined> };
  /** All events that came in one piece: a page renders once for many. Returning true ends it. */
  onEvents: (events: ServerSentEvent[]) => boolean | undefined;
  /** Whether the connection stands; a daemon that is started anew is waited for. */
  onConnection: (isOpen: boolean) => void;
  /** What no further try would change. */
  onError: (error: ApiError) => void;
  signal: AbortSignal;
}

/**
 * Follows a stream of server-sent events over any number of connections, until the signal or `onEvents` ends it. By fetch rather than EventSource: that one
 * hands over a hundred thousand events one by one, and hides why it fails.
 */
export async function follow({ path, onEvents, onConnection, onError, signal }: FollowOptions): Promise<void> {
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const { path: to, query } = path();
      const response = await fetchApi("GET", withQuery(to, query), { accept: "text/event-stream", signal });
      onConnection(true);
      retryMs = FIRST_RETRY_MS;
      if (await readEvents(response, onEvents, signal)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return onError(error);
    }
    onConnection(false);
    await pause(retryMs, signal);
    retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
  }
}

async function readEvents(
  response: Response,
  onEvents: FollowOptions["onEvents"],
  signal: AbortSignal,
): Promise<boolean> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return false;
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return false;
      const events = parser.push(value);
      if (events.length > 0 && onEvents(events) === true) return true;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
