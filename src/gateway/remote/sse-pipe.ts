import type { IncomingMessage } from "node:http";
import { type FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { PipeEvents, ServerPipe } from "../rpc/peer.ts";
import { readEvents } from "./event-stream.ts";
import { type HttpConnections, readErrorText, typeOf } from "./exchange.ts";
import { errorOf, failed, malformed } from "./fault.ts";
import { mask, type Target } from "./target.ts";

const ENDPOINT_TIMEOUT_MS = 30_000;

export interface SsePipeOptions {
  /** For errors. */
  server: string;
  target: () => Target;
  connections: HttpConnections;
  events: PipeEvents;
}

/** The transport of 2024-11-05: one stream for all that the server says, which begins with where messages to it go. Throws SERVER_… */
export async function openSsePipe(options: SsePipeOptions): Promise<ServerPipe> {
  const { server, target, connections } = options;
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), ENDPOINT_TIMEOUT_MS);
  try {
    const goal = target();
    const response = await connections.send(goal, {
      method: "GET",
      headers: { accept: "text/event-stream" },
      signal: ending.signal,
    });
    const status = response.statusCode ?? 0;
    if (status !== 200) throw errorOf(server, status, mask(await readErrorText(response, server), goal.secrets));
    if (typeOf(response) !== "text/event-stream") {
      response.destroy();
      throw malformed(server, "its stream is none");
    }
    const pipe = new SsePipe(options, ending);
    await pipe.open(response, goal.url);
    return pipe;
  } catch (thrown) {
    const isLate = ending.signal.aborted;
    ending.abort();
    connections.close();
    if (isLate) throw failed(server, `did not say within ${ENDPOINT_TIMEOUT_MS / 1_000} s where messages go`);
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

class SsePipe implements ServerPipe {
  readonly #options: SsePipeOptions;
  readonly #ending: AbortController;
  #endpoint: URL | undefined;

  constructor(options: SsePipeOptions, ending: AbortController) {
    this.#options = options;
    this.#ending = ending;
  }

  /** Resolves when the server has said where messages go; goes on reading until the stream ends. */
  open(response: IncomingMessage, url: URL): Promise<void> {
    return new Promise((resolve, reject) => void this.#read(response, url, resolve).then(reject, reject));
  }

  async write(line: string, headers: Record<string, string> = {}): Promise<void> {
    const { server, target, connections } = this.#options;
    const goal = target();
    const response = await connections.send(
      { ...goal, url: this.#endpoint as URL },
      {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: line.trimEnd(),
        signal: this.#ending.signal,
      },
    );
    const status = response.statusCode ?? 0;
    const text = await readErrorText(response, server);
    if (status < 200 || status >= 300) throw errorOf(server, status, mask(text, goal.secrets));
  }

  close(): void {
    this.#ending.abort();
    this.#options.connections.close();
  }

  async #read(response: IncomingMessage, url: URL, onOpen: () => void): Promise<Error> {
    const { server, events } = this.#options;
    let error: FirebreakError = failed(server, "ended its stream");
    try {
      for await (const { event, data } of readEvents(response, { server })) {
        if (event === "endpoint" && this.#endpoint === undefined) {
          this.#endpoint = endpointOf(data, url, server);
          onOpen();
        }
        // A message is one line for whoever takes it; an end of a line within JSON is a blank.
        else if (event === "message") events.onOutput(Buffer.from(`${data.replaceAll(/[\r\n]/g, " ")}\n`));
      }
    } catch (thrown) {
      error = toFirebreakError(thrown);
    }
    const isOurs = this.#ending.signal.aborted;
    this.close();
    if (!isOurs) events.onClosed(error);
    return error;
  }
}

/** Messages carry what the server is sent as a proof of who asks: they stay with its origin. */
function endpointOf(data: string, url: URL, server: string): URL {
  const endpoint = URL.canParse(data, url.href) ? new URL(data, url) : undefined;
  if (endpoint?.origin === url.origin) return endpoint;
  throw malformed(server, "it wants messages to be sent to another origin than its own");
}
