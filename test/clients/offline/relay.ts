import { once } from "node:events";
import net from "node:net";
import { pipeline } from "node:stream";

/** A TCP port of this host as a UNIX socket, which a program without a network can have a door to. */
export async function relayPort(port: number, socketPath: string): Promise<{ close: () => Promise<void> }> {
  const open = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    open.add(near).add(far);
    // Either end may go away at any moment; the other hears of it by the pipe.
    pipeline(near, far, () => open.delete(near));
    pipeline(far, near, () => open.delete(far));
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
