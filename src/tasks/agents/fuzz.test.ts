import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { type AgentEvent, agentEventSchema } from "../../contract/task-event.ts";
import type { AgentReader } from "./agent.ts";
import { MAX_TEXT } from "./fields.ts";
import { AGENTS } from "./index.ts";

const FIXTURES = path.join(import.meta.dirname, "../../../test/fixtures/agents");
/** Of one event, characters: its texts and what stands around them. */
const MAX_EVENT = 8 * MAX_TEXT;
const RUNS = 500;
const SEED = 20_261_129;

const readers = AGENTS.flatMap(({ name, createReader }) =>
  createReader === undefined ? [] : [{ name, createReader }],
);
const recorded = new Map(
  readers.map(({ name }) => [
    name,
    readdirSync(path.join(FIXTURES, name)).flatMap((file) =>
      readFileSync(path.join(FIXTURES, name, file), "utf8")
        .trimEnd()
        .split("\n"),
    ),
  ]),
);

/** Whatever comes, an event is one of the contract, can be written, and is not large; and so is what the reader says of it all. */
function feed(reader: AgentReader, line: string): void {
  const events: AgentEvent[] = reader.line(line);
  for (const event of events) {
    const written = JSON.stringify(agentEventSchema.parse(event));
    assert.ok(written.length <= MAX_EVENT, `${event.type} has ${written.length} characters`);
  }
  assert.ok(events.length <= 2_010, `${events.length} events of one line`);
  assert.ok(reader.tokens.every(({ input, output }) => Number.isSafeInteger(input) && Number.isSafeInteger(output)));
  assert.ok(reader.costUsd === undefined || reader.costUsd >= 0);
  assert.ok((reader.outcome?.message?.length ?? 0) <= MAX_TEXT + 100);
}

const deep = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);
const hostile: unknown[] = [
  null,
  true,
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER,
  "12",
  "",
  "x".repeat(MAX_TEXT + 100),
  "\ud800",
  [],
  {},
  Array.from({ length: 5_000 }, (_, index) => ({ type: "text", text: `${index}`, id: `${index}` })),
  Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index])),
  JSON.parse('{"__proto__":{"type":"text"},"constructor":{"prototype":{}},"hasOwnProperty":1,"toString":null}'),
  JSON.parse(deep(2_000, "[", "]")),
  JSON.parse(`${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`),
];

/** A recorded line in which one value, chosen by `at`, is another. */
function mutate(line: string, at: number, value: unknown): unknown {
  const root: unknown = JSON.parse(line);
  const places: [Record<string, unknown>, string][] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      walk((node as Record<string, unknown>)[key]);
    }
  };
  walk(root);
  const [node, key] = places[at % places.length] ?? [];
  if (node !== undefined && key !== undefined) node[key] = value;
  return root;
}

/** As JSON.stringify would, for what is too deep for it. */
const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null";
  } catch {
    return '{"type":"result"}';
  }
};

for (const { name, createReader } of readers) {
  test(`${name}: lines in which any value is another are read, and stay within bounds`, () => {
    const lines = recorded.get(name) ?? [];
    let reader = createReader();
    fc.assert(
      fc.property(
        fc.nat(lines.length - 1),
        fc.nat(100_000),
        fc.nat(hostile.length),
        fc.anything(),
        (at, place, which, other) => {
          if (at === 0) reader = createReader();
          const value = which === hostile.length ? other : hostile[which];
          feed(reader, stringify(mutate(lines[at] as string, place, value)));
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`${name}: lines that are cut, doubled or have bytes changed are read`, () => {
    const lines = recorded.get(name) ?? [];
    const reader = createReader();
    fc.assert(
      fc.property(
        fc.nat(lines.length - 1),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.string(),
        (at, where, insert) => {
          const line = lines[at] as string;
          const cut = Math.floor(line.length * where);
          feed(reader, line.slice(0, cut));
          feed(reader, line.slice(0, cut) + insert + line.slice(cut + 1));
          feed(reader, line + line);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`${name}: the worst lines`, () => {
    const reader = createReader();
    const types = new Set((recorded.get(name) ?? []).map((line) => (JSON.parse(line) as { type: string }).type));
    for (const type of types) {
      const open = `{"type":${JSON.stringify(type)},`;
      for (const key of ["message", "event", "item", "part", "data", "content", "stats", "usage", "parameters"]) {
        feed(reader, `${open}"${key}":${deep(20_000, "[", "]")}}`);
        feed(reader, `${open}"${key}":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`);
        feed(reader, `${open}"${key}":"${"y".repeat(2 * MAX_TEXT)}"}`);
        feed(reader, `${open}"${key}":{"__proto__":{"type":"text","text":"no"},"constructor":1}}`);
      }
    }
    feed(reader, "z".repeat(8 * 1024 * 1024));
    assert.equal(({} as { text?: string }).text, undefined);
  });
}
