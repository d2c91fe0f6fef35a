import type { Readable, Writable } from "node:stream";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createMcpServer, type McpServerOptions } from "../server.ts";
import { LineTransport } from "./line-transport.ts";

/** How long answers under way may take once the client has closed its end, ms. */
const DRAIN_MS = 2_000;

export interface ServeOptions extends Omit<McpServerOptions, "endingSignal"> {
  input: Readable;
  output: Writable;
  /** Ends the connection as the end of the input does. */
  stop?: AbortSignal;
  onError?: (error: Error) => void;
}

/**
 * Serves one client until it closes its end. Commands and boots under way are ended then; what takes but a moment is still
 * answered, so that a script may pipe requests in.
 */
export async function serveOverStreams({ input, output, stop, onError, ...options }: ServeOptions): Promise<void> {
  const transport = new LineTransport(input, output);
  const ending = new AbortController();
  const ended = new Promise<void>((resolve) => {
    transport.onended = resolve;
    stop?.addEventListener("abort", () => resolve(), { once: true });
  });
  const connection = serveStdio(() => createMcpServer({ ...options, endingSignal: ending.signal }), {
    transport,
    ...(onError === undefined ? {} : { onerror: onError }),
  });
  await ended;
  ending.abort();
  await transport.whenIdle(DRAIN_MS);
  await connection.close();
}
