import { z } from "zod";
import { MAX_COST_USD, type Tokens } from "../contract/task-event.ts";
import { checkTable } from "../gateway/config/check.ts";
import { type ConfigDocument, errorAt, isTable } from "../gateway/config/document.ts";

/** What a model costs, US dollars for a million tokens. */
export interface ModelPrice {
  /** Without what came from a cache. */
  input: number;
  cached: number;
  /** Of input that is put into the cache. */
  cacheWrite: number;
  output: number;
  /** Who has said so. */
  source: string;
  /** `2026-11-29`; absent for prices of the owner's. */
  asOf?: string;
}

/** Of models whose list differs with the length of the input, the price up to 200,000 or 272,000 tokens. */
const SOURCE = "models.dev, as opencode 1.18.33 has it";
const AS_OF = "2026-11-29";

/** Prefix of a model's name, input, cached input, output, writing into the cache where that costs more than input. */
const ROWS: readonly (readonly [prefix: string, input: number, cached: number, output: number, cacheWrite?: number])[] =
  [
    ["claude-fable-5", 10, 1, 50, 12.5],
    ["claude-fable-5-1", 10, 0.25, 50, 12.5],
    ["claude-haiku-4-5", 1, 0.1, 5, 1.25],
    ["claude-opus-4-5", 5, 0.5, 25, 6.25],
    ["claude-opus-4-6", 5, 0.5, 25, 6.25],
    ["claude-opus-4-7", 5, 0.5, 25, 6.25],
    ["claude-opus-4-8", 5, 0.5, 25, 6.25],
    ["claude-opus-4-8-fast", 10, 1, 50, 12.5],
    ["claude-opus-5", 5, 0.5, 25, 6.25],
    ["claude-opus-5-fast", 10, 1, 50, 12.5],
    ["claude-opus-5-5", 4, 0.2, 20, 5],
    ["claude-opus-5-5-fast", 8, 0.4, 40, 10],
    ["claude-sonnet-4-5", 3, 0.3, 15, 3.75],
    ["claude-sonnet-4-6", 3, 0.3, 15, 3.75],
    ["claude-sonnet-5", 2, 0.2, 10, 2.5],
    ["gemini-2.5-flash", 0.3, 0.03, 2.5],
    ["gemini-2.5-flash-lite", 0.1, 0.01, 0.4],
    ["gemini-2.5-pro", 1.25, 0.125, 10],
    ["gemini-3-flash-preview", 0.5, 0.05, 3],
    ["gemini-3.1-flash-lite", 0.25, 0.025, 1.5],
    ["gemini-3.1-pro-preview", 2, 0.2, 12],
    ["gemini-3.5-flash", 1.5, 0.15, 9],
    ["gemini-3.5-flash-lite", 0.3, 0.03, 2.5],
    ["gemini-3.6-flash", 0.75, 0.075, 3.75],
    ["gemini-3.7-flash", 0.75, 0.075, 3.75],
    ["gemini-3.8-flash", 0.75, 0.075, 3.75],
    ["gemini-flash-latest", 0.75, 0.075, 3.75],
    ["gemini-flash-lite-latest", 0.3, 0.03, 2.5],
    ["gpt-4.1", 2, 0.5, 8],
    ["gpt-4.1-mini", 0.4, 0.1, 1.6],
    ["gpt-4o", 2.5, 1.25, 10],
    ["gpt-4o-mini", 0.15, 0.075, 0.6],
    ["gpt-5", 1.25, 0.125, 10],
    ["gpt-5-mini", 0.25, 0.025, 2],
    ["gpt-5-nano", 0.05, 0.005, 0.4],
    ["gpt-5-pro", 15, 15, 120],
    ["gpt-5.1", 1.25, 0.125, 10],
    ["gpt-5.2", 1.75, 0.175, 14],
    ["gpt-5.2-pro", 21, 21, 168],
    ["gpt-5.3-codex", 1.75, 0.175, 14],
    ["gpt-5.4", 2.5, 0.25, 15],
    ["gpt-5.4-fast", 5, 0.5, 30],
    ["gpt-5.4-mini", 0.75, 0.075, 4.5],
    ["gpt-5.4-mini-fast", 1.5, 0.15, 9],
    ["gpt-5.4-nano", 0.2, 0.02, 1.25],
    ["gpt-5.4-pro", 30, 30, 180],
    ["gpt-5.5", 5, 0.5, 30],
    ["gpt-5.5-fast", 12.5, 1.25, 75],
    ["gpt-5.5-pro", 30, 30, 180],
    ["gpt-5.6", 4, 0.4, 20, 5],
    ["gpt-5.6-fast", 8, 0.8, 40, 10],
    ["gpt-5.6-luna", 0.2, 0.02, 1.2, 0.25],
    ["gpt-5.6-luna-fast", 0.4, 0.04, 2.4, 0.5],
    ["gpt-5.6-sol", 4, 0.4, 20, 5],
    ["gpt-5.6-sol-fast", 8, 0.8, 40, 10],
    ["gpt-5.6-terra", 2, 0.2, 12, 2.5],
    ["gpt-5.6-terra-fast", 4, 0.4, 24, 5],
    ["gpt-6-astra", 10, 1, 50, 12.5],
    ["gpt-6-astra-fast", 20, 2, 100, 25],
    ["gpt-6-luna", 0.1, 0.01, 0.5, 0.125],
    ["gpt-6-luna-fast", 0.2, 0.02, 1, 0.25],
    ["gpt-6-sol", 2, 0.2, 10, 2.5],
    ["gpt-6-sol-fast", 4, 0.4, 20, 5],
    ["o3", 2, 0.5, 8],
    ["o3-pro", 20, 20, 80],
  ];

const BUILT_IN: ReadonlyMap<string, ModelPrice> = new Map(
  ROWS.map(([prefix, input, cached, output, cacheWrite = input]) => [
    prefix,
    { input, cached, cacheWrite, output, source: SOURCE, asOf: AS_OF },
  ]),
);

const price = z
  .number({ error: "a price is wanted" })
  .min(0, "a price is 0 or more")
  .max(1_000_000, "a price is at most 1000000");

/** `[model_prices."NAME"]` of firebreak.toml; `[prices]` is what VMs cost. */
const ownPriceSchema = z.strictObject({
  input: price,
  output: price,
  /** That of input by default. */
  cached: price.optional(),
  cache_write: price.optional(),
});
export type OwnPrices = Readonly<Record<string, z.output<typeof ownPriceSchema>>>;

/** The owner's prices of models. Throws CONFIG_INVALID with file, line and key. */
export function readOwnPrices(document: ConfigDocument): OwnPrices {
  const has = isTable(document.value) && Object.hasOwn(document.value, "model_prices");
  const tables = has ? (document.value as Record<string, unknown>).model_prices : {};
  if (!isTable(tables)) throw errorAt(document, ["model_prices"], "a table of models is wanted");
  return Object.fromEntries(
    Object.entries(tables).map(([model, value]) => {
      const path = ["model_prices", model];
      if (model === "") throw errorAt(document, path, "a model's name is not empty");
      return [model, checkTable(ownPriceSchema, value, { document, path })];
    }),
  );
}

/** Prices by model: those that are known, and the owner's before them. For agents that tell no cost of their own. */
export class PriceTable {
  readonly #prices: ReadonlyMap<string, ModelPrice>;

  constructor(own: OwnPrices = {}) {
    const owners = Object.entries(own).map(([prefix, { input, output, cached = input, cache_write = input }]) => {
      const entry: ModelPrice = { input, cached, cacheWrite: cache_write, output, source: "firebreak.toml" };
      return [prefix.toLowerCase(), entry] as const;
    });
    this.#prices = new Map([...BUILT_IN, ...owners]);
  }

  /** The price of the longest name that the model's begins with, at the end of a part: `gpt-5` is no price of `gpt-5.9`. */
  find(model: string): ModelPrice | undefined {
    const whole = model.toLowerCase();
    // `anthropic/claude-…`, `models/gemini-…`; an owner may have a price for the whole.
    return this.#longest(whole) ?? this.#longest(whole.slice(whole.lastIndexOf("/") + 1));
  }

  /**
   * What tokens cost, US dollars; `model` is that of tokens that name none. Undefined when a model's price is not known: a part of a cost would be
   * taken for all of it.
   */
  costOf(tokens: readonly Tokens[], model: string | undefined): number | undefined {
    let usd = 0;
    for (const used of tokens) {
      const { input, output, cacheRead, cacheWrite } = used;
      if (input + output + cacheRead + cacheWrite === 0) continue;
      const name = used.model ?? model;
      const found = name === undefined ? undefined : this.find(name);
      if (found === undefined) return undefined;
      usd += input * found.input + cacheRead * found.cached + cacheWrite * found.cacheWrite + output * found.output;
    }
    return Math.min(usd / 1_000_000, MAX_COST_USD);
  }

  #longest(model: string): ModelPrice | undefined {
    for (let end = model.length; end > 0; end--) {
      if (end < model.length && !/[-@:/]/.test(model.charAt(end))) continue;
      const found = this.#prices.get(model.slice(0, end));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
