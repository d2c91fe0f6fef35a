import type { IncomingMessage } from "node:http";
import { type Duplex, Readable, Writable } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { API_VERSION, API_VERSION_HEADER } from "../../contract/api-version.ts";
import { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from "../../contract/frames.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { VmService } from "../../vms/service.ts";
import { endWithFrames, serveExec } from "./exec-frames.ts";

const PATH = /^\/v1\/vms\/([^/?]+)\/exec(?:\?|$)/;
/** A frame's head besides its payload. */
const MAX_MESSAGE_BYTES = MAX_FRAME_BYTES + 5;
/** Proxies close connections on which nothing is said; a command may be silent for longer, ms. */
const PING_MS = 30_000;
/** RFC 6455, section 7.4.1: a kind of data that is not taken. */
const UNSUPPORTED_DATA = 1003;

/** Commands over WebSocket: binary messages hold the frames that POST /v1/vms/VM/exec has in its bodies, each way. */
export class ExecSockets {
  readonly #vms: VmService;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    // Compression would keep memory and time for each connection.
    perMessageDeflate: false,
    handleProtocols: () => false,
  });

  constructor(vms: VmService) {
    this.#vms = vms;
    this.#server.on("headers", (headers) => headers.push(`${API_VERSION_HEADER}: ${API_VERSION}`));
  }

  /** Takes a connection over, whose caller has been admitted. Throws VM_NOT_FOUND, ROUTE_NOT_FOUND or INVALID_ARGUMENT. */
  accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { id: vm } = this.#vms.requireUsable(vmOf(incoming));
    this.#server.handleUpgrade(incoming, socket, head, (webSocket) => this.#serve(webSocket, vm));
  }

  /** Hangs up on all. */
  close(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
  }

  #serve(webSocket: WebSocket, vm: string): void {
    const gone = new AbortController();
    const pings = setInterval(() => webSocket.ping(), PING_MS);
    webSocket.on("error", () => {}); // its end is what counts
    webSocket.once("close", () => {
      clearInterval(pings);
      gone.abort();
    });
    const input = readMessages(webSocket);
    const output = new FrameMessages(webSocket);
    output.on("error", () => {});
    void endWithFrames(output, () => serveExec(this.#vms, vm, input, output, gone.signal));
  }
}

/** What binary messages hold, one after the other; reads no further than the command takes its input. */
function readMessages(webSocket: WebSocket): Readable {
  const input = new Readable({ read: () => webSocket.resume() });
  webSocket.on("message", (data: Buffer, isBinary) => {
    if (!isBinary) {
      webSocket.close(UNSUPPORTED_DATA, "messages are binary");
      input.push(null);
    } else if (!input.destroyed && !input.readableEnded && !input.push(data)) webSocket.pause();
  });
  webSocket.once("close", () => input.push(null));
  return input;
}

/** Sends each frame as a message of its own, whatever pieces it is written in, and the next one when that is on its way. */
class FrameMessages extends Writable {
  readonly #webSocket: WebSocket;
  readonly #decoder = new FrameDecoder();

  constructor(webSocket: WebSocket) {
    super();
    this.#webSocket = webSocket;
    webSocket.once("close", () => this.destroy());
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    const frames = this.#decoder.push(chunk);
    const last = frames.pop();
    if (last === undefined) return void callback();
    for (const frame of frames) this.#webSocket.send(encodeFrame(frame.type, frame.payload));
    this.#webSocket.send(encodeFrame(last.type, last.payload), callback);
  }

  override _final(callback: () => void): void {
    this.#webSocket.close(1000);
    callback();
  }
}

function vmOf({ url = "" }: IncomingMessage): string {
  const name = PATH.exec(url)?.[1];
  if (name === undefined)
    throw new FirebreakError("ROUTE_NOT_FOUND", "the API has no WebSocket there", {
      hint: "Commands have one, GET /v1/vms/VM/exec, and events of tasks, GET /v1/tasks/TASK/events",
    });
  try {
    return decodeURIComponent(name);
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", "the path is not percent-encoded");
  }
}
