import net, { type AddressInfo, type Socket } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** A port of this host that is held; who connects is turned away until somebody takes the connections. */
export interface HeldPort {
  port: number;
  onConnection: (socket: Socket) => void;
  /** Lets go of it; connections go on. */
  close(): Promise<void>;
}

/** Listens. Throws PORT_IN_USE or HOST_ADDRESS_UNAVAILABLE. */
export async function holdPort(address: string, port: number): Promise<HeldPort> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  const held: HeldPort = {
    port,
    onConnection: (socket) => void socket.resetAndDestroy(),
    // Also of one that has been closed: closing is what is wanted, and an error would say that it is.
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  server.on("connection", (socket) => held.onConnection(socket));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(translate(error, address, port)));
    server.listen({ host: address, port }, resolve);
  });
  // Such as too many open files, when one connects: that one is lost, the others are not.
  server.on("error", () => {});
  held.port = (server.address() as AddressInfo).port;
  return held;
}

function translate(error: NodeJS.ErrnoException, address: string, port: number): FirebreakError {
  if (error.code === "EADDRINUSE")
    return new FirebreakError("PORT_IN_USE", `port ${port} of ${address} is taken, by another forward or program`, {
      cause: error,
      hint: "Look: firebreak forward list. Or choose another port, or leave it out to get a free one.",
    });
  const why =
    error.code === "EACCES"
      ? `this user may not listen on port ${port}`
      : error.code === "EADDRNOTAVAIL"
        ? `this host has no address ${address}`
        : `listening on ${address} port ${port} failed: ${error.message}`;
  return new FirebreakError("HOST_ADDRESS_UNAVAILABLE", why, { cause: error });
}
