import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createMcpServer, hasTasks, type McpServerOptions } from "../server.ts";
import { traceServer } from "../traced-server.ts";
import type { VmClient } from "../vm-client.ts";
import { LineTransport } from "./line-transport.ts";
import { StreamSubscriptions } from "./subscriptions.ts";
import { TaskNewsTransport } from "./task-news.ts";

/** How long answers under way may take once the client has closed its end, ms. */
const DRAIN_MS = 2_000;
/** How long what tells the audit log of them may take then, ms. */
const REPORT_MS = 500;

export interface ServeOptions extends Omit<McpServerOptions, "endingSignal" | "subscriptions" | "onReport"> {
  input: Readable;
  output: Writable;
  /** Reaches a daemon that runs already: a client that only listens starts none. */
  peek: () => Promise<VmClient>;
  /** Ends the connection as the end of the input does. */
  stop?: AbortSignal;
  onError?: (error: Error) => void;
}

/**
 * Serves one client until it closes its end. Commands and boots under way are ended then; what takes but a moment is still
 * answered, so that a script may pipe requests in.
 */
export async function serveOverStreams(options: ServeOptions): Promise<void> {
  const { input, output, peek, stop, onError, ...rest } = options;
  const transport = new LineTransport(input, output);
  const ending = new AbortController();
  const ended = new Promise<void>((resolve) => {
    transport.onended = resolve;
    stop?.addEventListener("abort", () => resolve(), { once: true });
  });
  const subscriptions = new StreamSubscriptions(peek);
  const reports = new Set<Promise<void>>();
  const onReport = (report: Promise<void>) => {
    reports.add(report);
    void report.finally(() => reports.delete(report));
  };
  transport.onpassing = (message) => subscriptions.note(message);
  const wire = hasTasks(rest.registry) ? new TaskNewsTransport(transport, peek) : transport;
  const connection = serveStdio(
    () => {
      subscriptions.server = traceServer(
        createMcpServer({ ...rest, endingSignal: ending.signal, subscriptions, onReport }),
      );
      return subscriptions.server;
    },
    { transport: wire, ...(onError === undefined ? {} : { onerror: onError }) },
  );
  await ended;
  subscriptions.close();
  ending.abort();
  await transport.whenIdle(DRAIN_MS);
  await Promise.race([Promise.all(reports), sleep(REPORT_MS, undefined, { ref: false })]);
  await connection.close();
}
