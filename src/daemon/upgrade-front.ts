import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { TaskService } from "../tasks/service.ts";
import type { VmService } from "../vms/service.ts";
import type { ExecSockets } from "./api/exec-socket.ts";
import type { TaskSockets } from "./api/task-socket.ts";
import { refuseUpgrade } from "./api/upgrade.ts";
import type { Drain } from "./drain.ts";

const EVENTS_OF_TASK = /^\/v1\/tasks\/[^/?]+\/events(?:\?|$)/;

/** Connections that leave HTTP for a WebSocket. A daemon that nobody opens one to does without the code for it, and its memory. */
export class UpgradeFront {
  readonly #vms: VmService;
  readonly #tasks: TaskService;
  readonly #drain: Drain;
  #sockets: Promise<ExecSockets> | undefined;
  #taskSockets: Promise<TaskSockets> | undefined;

  constructor(vms: VmService, tasks: TaskService, drain: Drain) {
    this.#vms = vms;
    this.#tasks = tasks;
    this.#drain = drain;
  }

  /** Takes over the connection of a caller who has been admitted. */
  async handle(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => {}); // heard by whoever takes it over
    try {
      if (EVENTS_OF_TASK.test(incoming.url ?? "")) {
        // To look is no work that a daemon's end waits for.
        this.#taskSockets ??= import("./api/task-socket.ts").then((module) => new module.TaskSockets(this.#tasks));
        return (await this.#taskSockets).accept(incoming, socket, head);
      }
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
    (await this.#taskSockets)?.close();
  }
}
