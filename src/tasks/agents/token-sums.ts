import type { Tokens } from "../../contract/task-event.ts";

type Counts = Partial<Omit<Tokens, "model">>;
const KINDS = ["input", "output", "cacheRead", "cacheWrite", "reasoning"] as const;
/** More are one. */
const MAX_MODELS = 100;
const OTHERS = "others";

/** Tokens of a task, by model. */
export class TokenSums {
  readonly #byModel = new Map<string | undefined, Tokens>();

  get isEmpty(): boolean {
    return this.#byModel.size === 0;
  }

  /** Copies, in the order in which the models were met. */
  list(): Tokens[] {
    return [...this.#byModel.values()].map((tokens) => ({ ...tokens }));
  }

  add(model: string | undefined, counts: Counts): void {
    const sum = this.#of(model);
    for (const kind of KINDS) sum[kind] = Math.min(sum[kind] + (counts[kind] ?? 0), Number.MAX_SAFE_INTEGER);
  }

  /** For agents that tell all so far: the greater one counts, kind by kind, so that no line takes back what another has told. */
  raise(model: string | undefined, counts: Counts): void {
    const sum = this.#of(model);
    for (const kind of KINDS) sum[kind] = Math.max(sum[kind], counts[kind] ?? 0);
  }

  /** In the place of all that there is. */
  replace(all: readonly { model: string | undefined; counts: Counts }[]): void {
    this.#byModel.clear();
    for (const { model, counts } of all) this.add(model, counts);
  }

  #of(model: string | undefined): Tokens {
    const key = this.#byModel.has(model) || this.#byModel.size < MAX_MODELS ? model : OTHERS;
    const known = this.#byModel.get(key);
    if (known !== undefined) return known;
    const none: Tokens = {
      ...(key === undefined ? {} : { model: key }),
      input: 0,
      output: 0,
      cacheRead: 0,
      cacheWrite: 0,
      reasoning: 0,
    };
    this.#byModel.set(key, none);
    return none;
  }
}
