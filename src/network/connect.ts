import net, { type Socket } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** What a host that does not answer gets, ms; each address of a name its own. */
const CONNECT_DEADLINE_MS = 10_000;

export interface Dialled {
  socket: Socket;
  /** What was dialled: the name's address, or the proxy that this host goes out by. */
  address: string;
}

/** An open connection, paused. Throws CONNECTION_REFUSED, CONNECTION_FAILED, OPERATION_CANCELED. */
export function connect(address: string, port: number, name: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true, keepAlive: true });
    const finish = (error?: FirebreakError) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      socket.off("connect", onConnect);
      if (error === undefined) return resolve(socket);
      socket.on("error", () => {});
      socket.destroy();
      reject(error);
    };
    const onConnect = () => finish();
    const onAbort = () => finish(new FirebreakError("OPERATION_CANCELED", "the connection was given up"));
    const onError = (error: NodeJS.ErrnoException) =>
      finish(
        error.code === "ECONNREFUSED"
          ? new FirebreakError("CONNECTION_REFUSED", `nothing listens on ${name}:${port} (${address})`)
          : new FirebreakError("CONNECTION_FAILED", `${name}:${port} (${address}) cannot be reached: ${error.code}`),
      );
    const timer = setTimeout(
      () => finish(new FirebreakError("CONNECTION_FAILED", `${name}:${port} (${address}) does not answer`)),
      CONNECT_DEADLINE_MS,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", onError);
    socket.once("connect", onConnect);
    if (signal.aborted) onAbort();
  });
}
