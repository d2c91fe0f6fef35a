import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { VmService } from "../vms/service.ts";
import type { ExecSockets } from "./api/exec-socket.ts";
import { refuseUpgrade } from "./api/upgrade.ts";
import type { Drain } from "./drain.ts";

/** Connections that leave HTTP for a WebSocket. A daemon that nobody opens one to does without the code for it, and its memory. */
export class UpgradeFront {
  readonly #vms: VmService;
  readonly #drain: Drain;
  #sockets: Promise<ExecSockets> | undefined;

  constructor(vms: VmService, drain: Drain) {
    this.#vms = vms;
    this.#drain = drain;
  }

  /** Takes over the connection of a caller who has been admitted. */
  async handle(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => {}); // heard by whoever takes it over
    try {
      this.#drain.admitUpgrade(socket);
      this.#sockets ??= import("./api/exec-socket.ts").then((module) => new module.ExecSockets(this.#vms));
      (await this.#sockets).accept(incoming, socket, head);
    } catch (thrown) {
      refuseUpgrade(socket, toFirebreakError(thrown));
    }
  }

  /** Hangs up on all. */
  async close(): Promise<void> {
    (await this.#sockets)?.close();
  }
}
