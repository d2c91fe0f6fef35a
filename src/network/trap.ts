import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";

const MAX_CONNECTIONS = 8;

/** Something of this host that no VM is to reach: whoever does is told a word, and nothing else. */
export interface Trap {
  port: number;
  word: string;
  close: () => void;
}

/** Listens on an address of this host. Throws what listen(2) does. */
export async function openTrap(address: string): Promise<Trap> {
  const word = randomBytes(12).toString("hex");
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    socket.resume().end(word);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(0, address);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    word,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
