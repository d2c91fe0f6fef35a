import { once } from "node:events";
import { WebSocket } from "ws";
import { encodeFrame, encodeJsonFrame, FRAME, type Frame, FrameDecoder } from "../../src/contract/frames.ts";
import type { ExecRequest } from "../../src/contract/vm.ts";
import type { ErrorBody } from "../../src/errors/firebreak-error.ts";
import type { ExecExit, ExecStarted } from "../../src/guest/protocol.ts";

/** A command over WebSocket, from any program's end. */
export class ExecSocket {
  readonly webSocket: WebSocket;
  readonly frames: Frame[] = [];
  /** Messages that were not one whole frame. */
  oddMessages = 0;
  closeCode: number | undefined;

  constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on("message", (data: Buffer, isBinary) => {
      const decoder = new FrameDecoder();
      const frames = decoder.push(data);
      if (!isBinary || frames.length !== 1 || decoder.pendingBytes > 0) this.oddMessages++;
      this.frames.push(...frames);
    });
    webSocket.once("close", (code) => {
      this.closeCode = code;
    });
  }

  send(type: number, payload: Uint8Array | string = ""): void {
    this.webSocket.send(encodeFrame(type, payload));
  }

  start(spec: ExecRequest): void {
    this.webSocket.send(encodeJsonFrame(FRAME.spec, spec));
  }

  json<T>(type: number): T | undefined {
    const frame = this.frames.find((one) => one.type === type);
    return frame === undefined ? undefined : (JSON.parse(frame.payload.toString("utf8")) as T);
  }

  get started(): ExecStarted | undefined {
    return this.json(FRAME.started);
  }

  get exit(): ExecExit | undefined {
    return this.json(FRAME.exit);
  }

  get error(): ErrorBody | undefined {
    return this.json(FRAME.error);
  }

  text(type: number): string {
    return Buffer.concat(this.frames.filter((one) => one.type === type).map(({ payload }) => payload)).toString("utf8");
  }

  async closed(): Promise<void> {
    if (this.closeCode === undefined) await once(this.webSocket, "close");
  }
}

/** Opens one; rejects with the answer's status and error when it is refused. */
export function openExecSocket(
  address: string,
  options: { headers?: Record<string, string>; protocols?: string[]; origin?: string } = {},
): Promise<ExecSocket> {
  const { protocols = [], ...rest } = options;
  const webSocket = new WebSocket(address, protocols, { followRedirects: false, ...rest });
  return new Promise((resolve, reject) => {
    webSocket.once("open", () => resolve(socket));
    webSocket.once("error", reject);
    webSocket.once("unexpected-response", (_request, response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.once("end", () => {
        const { error } = JSON.parse(Buffer.concat(pieces).toString("utf8")) as { error: ErrorBody };
        reject(Object.assign(new Error(error.message), { status: response.statusCode, code: error.code }));
      });
    });
    const socket = new ExecSocket(webSocket);
  });
}
