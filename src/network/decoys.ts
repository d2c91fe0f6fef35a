import type { ServerHttp2Stream } from "node:http2";
import type { Verdict } from "./rules.ts";

/** A guest that does not take a decoy's page is left after this, ms. */
const PAGE_DEADLINE_MS = 10_000;

/** What a decoy does with one connection: answers it by a page of this host's own, or says that its name leads to an address. */
export type DecoyAnswer = { page: string } | { address: string };

/**
 * A name that stands for a server that plays with its names and answers, for a probe, without one outside. It opens nothing: a page is made here, and an
 * address has to be one that the name of an allowed host may lead to.
 */
export interface Decoy {
  name: string;
  port: number;
  /** For one connection after the other; the last answer is for all that follow. */
  answers: readonly DecoyAnswer[];
  /** Requests are looked at, as where a rule has methods or a secret is put in. */
  isOpened?: boolean;
}

/** Decoys that are there now. */
export class Decoys {
  readonly #left = new Map<string, { decoy: Decoy; answers: DecoyAnswer[] }>();

  lay(decoys: readonly Decoy[]): void {
    for (const decoy of decoys) this.#left.set(decoy.name, { decoy, answers: [...decoy.answers] });
  }

  remove(decoys: readonly Decoy[]): void {
    for (const { name } of decoys) this.#left.delete(name);
  }

  hasName(name: string): boolean {
    return this.#left.has(name);
  }

  /** As for a name that a rule allows, and no private network. */
  decide(name: string, port: number): Verdict | undefined {
    const decoy = this.#left.get(name)?.decoy;
    if (decoy?.port !== port) return undefined;
    return { isAllowed: true, why: "", isPrivateAllowed: false, needsHttp: decoy.isOpened === true, rule: "a probe" };
  }

  /** For the connection that comes now. */
  next(name: string): DecoyAnswer | undefined {
    const answers = this.#left.get(name)?.answers;
    return answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0];
  }
}

/** Answers whatever a guest says by a page, and hears no more. */
export function servePage(stream: ServerHttp2Stream, page: string, signal: AbortSignal): Promise<void> {
  const close = () => stream.destroy();
  const timer = setTimeout(close, PAGE_DEADLINE_MS);
  signal.addEventListener("abort", close, { once: true });
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  stream.respond({ ":status": 200 });
  stream.resume();
  stream.end(page);
  return closed.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", close);
  });
}
