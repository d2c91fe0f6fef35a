import { rm } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { checkSocketPath } from "../../platform/paths.ts";

/**
 * Takes the connections that a guest dials to one port of its host: Firecracker makes each of them to the UNIX socket `<uds>_<port>`
 * (docs/vsock.md of its repository), and refuses the guest while nobody listens there.
 */
export class VsockPort {
  readonly #server: net.Server;
  /** The guest's last connection, until somebody takes it. A guest has one at a time: of more, only the newest can be of use. */
  #waiting: Socket | undefined;
  readonly #takers = new Set<(socket: Socket) => void>();

  private constructor(server: net.Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#arrive(socket));
  }

  /** Listens at a path, in the place of whoever did before: another daemon that has died. */
  static async listen(path: string): Promise<VsockPort> {
    checkSocketPath(path);
    await rm(path, { force: true });
    // A guest's first words stay in the socket until somebody reads them.
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: false });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", () => {}); // one connection that cannot be accepted; the guest dials again
    server.unref();
    return new VsockPort(server);
  }

  #arrive(socket: Socket): void {
    socket.on("error", () => {}); // until it is taken, nobody else hears of one
    const taker = [...this.#takers][0];
    if (taker !== undefined) {
      taker(socket);
      return;
    }
    this.#waiting?.destroy();
    this.#waiting = socket;
    socket.once("close", () => {
      if (this.#waiting === socket) this.#waiting = undefined;
    });
  }

  /** The guest's connection, once it dials. `isGone` is asked now and then, so that a VMM which has ended is not waited for. */
  async take(signal: AbortSignal, isGone: () => Promise<boolean>): Promise<Socket | undefined> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined && !waiting.destroyed) return waiting;
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearInterval(timer);
        signal.removeEventListener("abort", onAbort);
        this.#takers.delete(taker);
        act();
      };
      const taker = (socket: Socket) => finish(() => resolve(socket));
      const onAbort = () =>
        finish(() => reject(new FirebreakError("OPERATION_CANCELED", "opening the channel was cancelled")));
      const look = () =>
        isGone().then((gone) => {
          if (gone) finish(() => resolve(undefined));
        }, onAbort);
      const timer = setInterval(look, GONE_LOOK_MS);
      this.#takers.add(taker);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      else void look();
    });
  }

  close(): void {
    this.#server.close();
    this.#waiting?.destroy();
  }
}

const GONE_LOOK_MS = 200;
