import type { Readable, Writable } from "node:stream";
import { LineTransport } from "../stdio/line-transport.ts";
import { Bridge } from "./bridge.ts";
import type { DaemonLinkOptions } from "./daemon-link.ts";

/** How long answers under way may take once the client has closed its end, ms. */
const DRAIN_MS = 2_000;

export interface ServeBridgeOptions extends DaemonLinkOptions {
  input: Readable;
  output: Writable;
  /** Ends the connection as the end of the input does. */
  stop: AbortSignal;
}

/** Carries messages between a client on a pair of streams and the daemon, until the client closes its end. */
export async function serveBridge({ input, output, stop, ...link }: ServeBridgeOptions): Promise<void> {
  const transport = new LineTransport(input, output);
  const bridge = new Bridge({ ...link, deliver: (message) => transport.send(message) });
  const ended = new Promise<void>((resolve) => {
    transport.onended = resolve;
    stop.addEventListener("abort", () => resolve(), { once: true });
  });
  transport.onmessage = (message) => void bridge.forward(message);
  await transport.start();
  await ended;
  await transport.whenIdle(DRAIN_MS);
  await bridge.close();
  await transport.close();
}
