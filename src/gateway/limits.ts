import type { ServerConfig } from "../contract/server.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

const MINUTE_MS = 60_000;

/** How many calls of one server there may be, at once and within a minute. */
export class CallLimits {
  readonly #server: string;
  readonly #limits: ServerConfig["limits"];
  readonly #nowMs: () => number;
  #active = 0;
  /** When the calls of the last minute began, the oldest first. */
  #begun: number[] = [];

  constructor(server: string, limits: ServerConfig["limits"], nowMs: () => number = () => performance.now()) {
    this.#server = server;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Counts a call in; what is returned counts it out. Throws SERVER_BUSY. */
  enter(): () => void {
    const { callsPerMinute, concurrentCalls } = this.#limits;
    if (concurrentCalls !== undefined && this.#active >= concurrentCalls)
      throw this.#busy(`${concurrentCalls} calls at once`, "Wait for one of them to end.");
    if (callsPerMinute !== undefined) {
      const now = this.#nowMs();
      this.#begun = this.#begun.filter((at) => now - at < MINUTE_MS);
      if (this.#begun.length >= callsPerMinute) {
        const waitMs = MINUTE_MS - (now - (this.#begun[0] ?? now));
        throw this.#busy(`${callsPerMinute} calls a minute`, `Try again in ${Math.ceil(waitMs / 1000)} s.`);
      }
      this.#begun.push(now);
    }
    this.#active++;
    let isOver = false;
    return () => {
      if (!isOver) this.#active--;
      isOver = true;
    };
  }

  /** Throws SERVER_PROTOCOL_ERROR for a result that is larger than it may be. */
  checkResult(bytes: number): void {
    const { resultBytes } = this.#limits;
    if (resultBytes === undefined || bytes <= resultBytes) return;
    throw new FirebreakError(
      "SERVER_PROTOCOL_ERROR",
      `the server '${this.#server}' answered with ${bytes} bytes, and may with ${resultBytes}`,
      {
        hint: `Ask for less, or raise limits.result_bytes of the server`,
        details: { server: this.#server },
      },
    );
  }

  #busy(what: string, hint: string): FirebreakError {
    return new FirebreakError("SERVER_BUSY", `the server '${this.#server}' takes ${what}`, {
      hint,
      details: { server: this.#server },
    });
  }
}
