import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { API_VERSION, API_VERSION_HEADER } from "../../contract/api-version.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { TaskLog } from "../../tasks/log/task-log.ts";
import type { TaskService } from "../../tasks/service.ts";
import { parseCount } from "./responses.ts";
import { MAX_BEHIND } from "./task-routes.ts";

const PATH = /^\/v1\/tasks\/([^/?]+)\/events(?:\?|$)/;
/** Proxies close connections on which nothing is said, ms. */
const PING_MS = 30_000;
/** A client has nothing to say. */
const MAX_MESSAGE_BYTES = 1024;
/** RFC 6455, section 7.4.1. */
const CLOSE = { end: 1000, policy: 1008, failed: 1011 } as const;
const NEWLINE = 10;

/** Events of tasks over WebSocket: text messages, one event each, from `from` on, until the task has ended. */
export class TaskSockets {
  readonly #tasks: Pick<TaskService, "get" | "useLog">;
  readonly #pingMs: number;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    // Compression would keep memory and time for each connection.
    perMessageDeflate: false,
    handleProtocols: () => false,
  });

  constructor(tasks: Pick<TaskService, "get" | "useLog">, pingMs = PING_MS) {
    this.#tasks = tasks;
    this.#pingMs = pingMs;
    this.#server.on("headers", (headers) => headers.push(`${API_VERSION_HEADER}: ${API_VERSION}`));
  }

  /** Takes a connection over, whose caller has been admitted. Throws TASK_NOT_FOUND or INVALID_ARGUMENT. */
  accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { searchParams } = new URL(incoming.url ?? "/", "http://firebreak");
    const { id } = this.#tasks.get(taskOf(incoming));
    const from = parseCount(searchParams.get("from") ?? undefined, "from") ?? 1;
    const follow = searchParams.get("follow") !== "false";
    const maySkip = searchParams.get("skip") === "true";
    this.#server.handleUpgrade(incoming, socket, head, (webSocket) => {
      const signal = this.#watch(webSocket);
      this.#tasks
        .useLog(id, (log) => sendEvents(webSocket, log, { from, follow, maySkip, signal }))
        .then(
          () => webSocket.close(CLOSE.end),
          (error: unknown) => webSocket.close(CLOSE.failed, toFirebreakError(error).message.slice(0, 100)),
        );
    });
  }

  /** Hangs up on all. */
  close(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
  }

  /** Pings, and aborts when the client has gone. */
  #watch(webSocket: WebSocket): AbortSignal {
    const gone = new AbortController();
    // Nobody is hung up on for an answer that does not come: it may stand behind what a slow client has not read yet. TCP gives up on hosts that are gone.
    const pings = setInterval(() => webSocket.ping(), this.#pingMs);
    webSocket.on("message", () => webSocket.close(CLOSE.policy, "nothing is taken here"));
    webSocket.on("error", () => {}); // its end is what counts
    webSocket.once("close", () => {
      clearInterval(pings);
      gone.abort();
    });
    return gone.signal;
  }
}

/** Reads no further than the client takes: one that is slow holds up nobody, and costs no memory but for one piece of the log. */
async function sendEvents(
  webSocket: WebSocket,
  log: TaskLog,
  { from, follow, maySkip, signal }: { from: number; follow: boolean; maySkip: boolean; signal: AbortSignal },
): Promise<void> {
  const onSkip = (first: number, last: number) =>
    webSocket.send(JSON.stringify({ skipped: { from: first, to: last } }));
  for await (const piece of log.read(from, { follow, signal, onSkip, ...(maySkip ? { maxBehind: MAX_BEHIND } : {}) }))
    await sendLines(webSocket, piece);
}

/** Whole lines, each as a message; resolves when the last one is on its way, or nobody is there. */
function sendLines(webSocket: WebSocket, lines: Buffer): Promise<void> {
  return new Promise((resolve) => {
    for (let start = 0, end = lines.indexOf(NEWLINE); end >= 0; start = end + 1, end = lines.indexOf(NEWLINE, start)) {
      const isLast = end === lines.length - 1;
      webSocket.send(lines.subarray(start, end), { binary: false }, isLast ? () => resolve() : undefined);
    }
  });
}

function taskOf({ url = "" }: IncomingMessage): string {
  try {
    return decodeURIComponent(PATH.exec(url)?.[1] ?? "");
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", "the path is not percent-encoded");
  }
}
