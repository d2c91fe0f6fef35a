import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tokens } from "../contract/task-event.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readFirebreakToml } from "../gateway/config/firebreak-toml.ts";
import { PriceTable, readOwnPrices } from "./prices.ts";

const read = (text: string) => readOwnPrices(readFirebreakToml(text, "f.toml"));
const tokens = (over: Partial<Tokens>): Tokens => ({
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  reasoning: 0,
  ...over,
});

test("a model's price is that of the longest name that it begins with, at the end of a part", () => {
  const table = new PriceTable();
  for (const [model, input] of [
    ["claude-sonnet-4-5", 3],
    ["claude-sonnet-4-5-20250929", 3],
    ["anthropic/claude-opus-4-8-fast", 10],
    ["claude-opus-5-5", 4],
    ["gpt-5.2-codex", 1.75],
    ["GPT-5-mini-2026-01-01", 0.25],
    ["models/gemini-2.5-flash-lite", 0.1],
    ["gpt-5.9", undefined],
    ["gpt-50", undefined],
    ["my-gpt-5", undefined],
    ["", undefined],
    ["__proto__", undefined],
  ] as const)
    assert.equal(table.find(model)?.input, input, model);
});

test("each price says who has told it, and when", () => {
  const { source, asOf } = new PriceTable().find("o3") ?? {};
  assert.match(source ?? "", /models\.dev/);
  assert.match(asOf ?? "", /^\d{4}-\d\d-\d\d$/);
});

test("tokens cost what their kinds cost; what was thought is a part of the output", () => {
  const used = tokens({
    model: "claude-sonnet-4-5",
    input: 1e6,
    output: 1e6,
    cacheRead: 1e6,
    cacheWrite: 1e6,
    reasoning: 5e5,
  });
  assert.equal(new PriceTable().costOf([used], undefined), 3 + 15 + 0.3 + 3.75);
});

test("tokens without a model are of the task's, and models are summed", () => {
  const table = new PriceTable();
  const all = [tokens({ input: 2e6 }), tokens({ model: "o3", output: 1e6 })];
  assert.equal(table.costOf(all, "gpt-4.1"), 4 + 8);
  assert.equal(table.costOf([], undefined), 0);
});

test("a cost of which a part is not known is not told", () => {
  const table = new PriceTable();
  const known = tokens({ model: "o3", output: 1e6 });
  assert.equal(table.costOf([known, tokens({ model: "of-my-own", input: 1 })], undefined), undefined);
  assert.equal(table.costOf([tokens({ input: 1 })], undefined), undefined);
  assert.equal(table.costOf([known, tokens({ model: "of-my-own" })], undefined), 8);
});

test("the owner's prices come before, and need no cache's", () => {
  const own = read(`[model_prices."of-my-own"]
input = 1
output = 2
[model_prices."claude-sonnet-4-5"]
input = 30
cached = 4
cache_write = 5
output = 6
[model_prices."corp/gpt-5"]
input = 7
output = 7
`);
  const table = new PriceTable(own);
  assert.deepEqual(table.find("of-my-own-2"), {
    input: 1,
    cached: 1,
    cacheWrite: 1,
    output: 2,
    source: "firebreak.toml",
  });
  assert.equal(table.find("claude-sonnet-4-5-20250929")?.cached, 4);
  assert.equal(table.find("corp/gpt-5")?.input, 7);
  assert.equal(table.find("gpt-5")?.input, 1.25);
});

test("what is wrong with a price is told with file, line and key", () => {
  for (const [text, message] of [
    ["model_prices = 1\n", /^f\.toml:1: model_prices: a table of models is wanted/],
    ["[model_prices.x]\ninput = 1\n", /^f\.toml:1: model_prices\.x\.output: it is missing/],
    ["[model_prices.x]\ninput = -1\noutput = 1\n", /^f\.toml:2: model_prices\.x\.input: a price is 0 or more/],
    [
      "[model_prices.x]\ninput = 1\noutput = 1\ncache = 1\n",
      /^f\.toml:4: there is no key 'model_prices\.x\.cache', did you mean 'cached'/,
    ],
    ['[model_prices.""]\ninput = 1\noutput = 1\n', /a model's name is not empty/],
  ] as const)
    assert.throws(
      () => read(text),
      (error) =>
        error instanceof FirebreakError &&
        error.code === "CONFIG_INVALID" &&
        (message.test(error.message) || assert.fail(error.message)),
      text,
    );
});
