import { once } from "node:events";
import { type ClientOptions, WebSocket } from "ws";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import type { ErrorBody } from "../../src/errors/firebreak-error.ts";

/** Events of a task over WebSocket, from any program's end. */
export class TaskSocket {
  readonly webSocket: WebSocket;
  readonly messages: (TaskEvent | { skipped: { from: number; to: number } })[] = [];
  pings = 0;
  closeCode: number | undefined;

  constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on("message", (data, isBinary) => {
      if (isBinary) throw new Error("a binary message");
      this.messages.push(JSON.parse(String(data)));
    });
    webSocket.on("ping", () => this.pings++);
    webSocket.once("close", (code) => {
      this.closeCode = code;
    });
  }

  get events(): TaskEvent[] {
    return this.messages.filter((message): message is TaskEvent => "seq" in message);
  }

  get seqs(): number[] {
    return this.events.map(({ seq }) => seq);
  }

  /** Until its end: the code. */
  async closed(): Promise<number> {
    if (this.closeCode === undefined) await once(this.webSocket, "close");
    return this.closeCode as number; // set with the event
  }
}

/** Opens one; rejects with the answer's status and code when it is refused. */
export function openTaskSocket(address: string, options: ClientOptions = {}): Promise<TaskSocket> {
  const webSocket = new WebSocket(address, options);
  // Events may come with the answer that opens it.
  const socket = new TaskSocket(webSocket);
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
  });
}
