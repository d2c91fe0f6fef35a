import type { IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { createParser } from "eventsource-parser";
import { MAX_LINE_BYTES } from "../rpc/lines.ts";
import { isBroken } from "./exchange.ts";
import { failed, malformed } from "./fault.ts";

export interface StreamEvent {
  event: string;
  data: string;
  id: string | undefined;
}

export interface StreamOptions {
  /** For errors. */
  server: string;
  /** Hears of all bytes, comments too; may throw. */
  onBytes?: (bytes: number) => void;
  /** What the server wants to be waited for before the stream is asked for again, ms. */
  onRetry?: (afterMs: number) => void;
}

/** The events of an answer, each bounded. Throws SERVER_PROTOCOL_ERROR, and SERVER_FAILED when it breaks off. */
export async function* readEvents(response: IncomingMessage, options: StreamOptions): AsyncGenerator<StreamEvent> {
  const { server, onBytes, onRetry } = options;
  const decoder = new StringDecoder("utf8");
  const ready: StreamEvent[] = [];
  let isTooLong = false;
  const parser = createParser({
    maxBufferSize: MAX_LINE_BYTES,
    onEvent: ({ event = "message", data, id }) => ready.push({ event, data, id }),
    ...(onRetry === undefined ? {} : { onRetry }),
    onError: ({ type }) => {
      if (type === "max-buffer-size-exceeded") isTooLong = true;
    },
  });
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      onBytes?.(chunk.length);
      parser.feed(decoder.write(chunk));
      if (isTooLong) throw malformed(server, "a message of its is of more than 16 MiB");
      yield* ready.splice(0);
    }
  } catch (error) {
    throw isBroken(error) ? failed(server, "broke off its answer", { cause: error }) : error;
  } finally {
    response.destroy();
  }
}
