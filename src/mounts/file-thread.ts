import { parentPort } from "node:worker_threads";
import { errnoOf } from "./confined-root.ts";
import { FileServer } from "./file-server.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

// What is caught here is told by its number; stacks would cost more than the calls.
Error.stackTraceLimit = 0;

const servers = new Map<number, FileServer>();

function tell(message: FromThread): void {
  // A frame has memory of its own, which goes along.
  parentPort?.postMessage(message, message.kind === "answer" ? [message.bytes.buffer as ArrayBuffer] : []);
}

parentPort?.on("message", (message: ToThread) => {
  const { mount } = message;
  switch (message.kind) {
    case "open":
      try {
        const server = new FileServer(message.options);
        servers.set(mount, server);
        tell({ kind: "opened", mount, isFile: server.isFile });
      } catch (error) {
        tell({ kind: "failed", mount, errno: errnoOf(error) });
      }
      return;
    case "frame":
      return answer(mount, message.bytes);
    case "close":
      servers.get(mount)?.close();
      servers.delete(mount);
      return;
  }
});

function answer(mount: number, bytes: Uint8Array): void {
  const server = servers.get(mount);
  if (server === undefined) return;
  try {
    const answer = server.answer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    // A small one lies in memory that it shares.
    const owned = answer.byteLength === answer.buffer.byteLength ? answer : new Uint8Array(answer);
    tell({ kind: "answer", mount, bytes: owned });
  } catch (error) {
    tell({ kind: "malformed", mount, reason: (error as Error).message });
  }
}
