import type { EventPage, VmEvent } from "../../contract/event.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** The history of VMs. */
export class EventCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** A page of the history of all VMs, or of one: what comes after `after`, or without it the newest. */
  list(
    filter: { vm?: string | undefined; after?: number | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<EventPage> {
    return this.#http.json("GET", "/v1/events", options, undefined, filter);
  }

  /** The same from `after` on, and then each event as it comes. */
  async *follow(
    filter: { vm?: string | undefined; after?: number | undefined },
    options: CallOptions = {},
  ): AsyncGenerator<VmEvent> {
    const lines = this.#http.follow<{ event: VmEvent }>("/v1/events", { ...filter, follow: true }, options);
    for await (const { event } of lines) yield event;
  }
}
