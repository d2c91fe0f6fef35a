import { rm } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A guest may miss a gap between two connections that is shorter than this (docs/guest-protocol.md). */
const GAP_MS = 150;
const PAUSE_MS = 20;

/**
 * Stands in for a vsock where nothing else gives QEMU's guests one: a virtio port of the guest is connected to the socket that Firecracker would make the
 * guest's connection to, again whenever either end goes, as a guest that dials does.
 */
export class DialBridge {
  readonly #from: string;
  readonly #to: string;
  #isEnded = false;
  #sockets: Socket[] = [];

  /** `from` is the socket of QEMU's port, `to` is `<uds>_<port>`. */
  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isEnded) {
      // The host first: while nobody listens there, the guest must see nobody.
      const host = await connect(this.#to);
      const guest = host && (await connect(this.#from));
      if (host === undefined || guest === undefined) {
        host?.destroy();
        await sleep(PAUSE_MS);
        continue;
      }
      this.#sockets = [host, guest];
      host.pipe(guest);
      guest.pipe(host);
      await new Promise<void>((resolve) => {
        for (const socket of [host, guest]) {
          socket.on("error", () => {});
          socket.once("close", resolve);
        }
      });
      host.destroy();
      guest.destroy();
      await sleep(GAP_MS);
    }
  }

  /** All connections end at a snapshot, those of the machine that goes on too. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  end(): void {
    this.#isEnded = true;
    this.reset();
  }
}

/** Listens as Firecracker does for connections to its guest, of which none has a listener: `CONNECT port` is answered with the end. */
export async function listenForHost(path: string): Promise<net.Server> {
  await rm(path, { force: true });
  const server = net.createServer((socket) => socket.on("error", () => {}).once("data", () => socket.destroy()));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  // It goes with whoever serves the API.
  return server.unref();
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
