import type { Duplex } from "node:stream";
import { API_VERSION, API_VERSION_HEADER } from "../../contract/api-version.ts";
import type { FirebreakError } from "../../errors/firebreak-error.ts";

/** Answers a request to upgrade with an error, and lets go of its connection. */
export function refuseUpgrade(socket: Duplex, error: FirebreakError, headers: Record<string, string> = {}): void {
  const text = JSON.stringify({ error: error.toBody() });
  const lines = Object.entries({
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(text)),
    connection: "close",
    [API_VERSION_HEADER]: String(API_VERSION),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on("error", () => {}); // whoever is refused may be gone
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${error.httpStatus} ${error.code}\r\n${lines.join("")}\r\n${text}`);
}
