import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse, printParseErrorCode } from "jsonc-parser";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ServerEntry } from "./client.ts";
import { CLIENTS, clientNamed } from "./index.ts";
import { readToml } from "./toml-document.ts";

/** Whatever a file looks like, a change to it leaves all else as it was. */

const SERVERS: ServerEntry[] = [
  { transport: "stdio", command: "/opt/fire break", args: ["serve", "mcp"], env: { FIREBREAK_HOME: 'a"b\\c' } },
  { transport: "http", url: "http://127.0.0.1:1/mcp", isSse: false },
];
const server = fc.constantFrom(...SERVERS);
const OURS = "ours";

/** Blanks and comments, as may stand between any two tokens. */
const gap = fc.array(fc.constantFrom(" ", "\n", "\t", "  ", "\r\n", "/* x, { */", "// y, }\n", "// z\n", "/* a\n */"), {
  maxLength: 3,
});
const gaps = fc.array(
  gap.map((parts) => parts.join("")),
  { minLength: 8, maxLength: 8 },
);
const word = fc.constantFrom("a", "b", "github", "mcpServers", "servers", "type", "x//y", "é", 'a"b', "inputs");

/** An object's text with gaps all over, and a trailing comma now and then. */
function printed(value: unknown, noise: string[], trailing: boolean): string {
  let at = 0;
  const next = () => noise[at++ % noise.length] ?? "";
  const print = (inner: unknown): string => {
    if (typeof inner !== "object" || inner === null) return JSON.stringify(inner);
    const isList = Array.isArray(inner);
    const members = isList
      ? inner.map((member) => next() + print(member) + next())
      : Object.entries(inner).map(
          ([key, member]) => `${next()}${JSON.stringify(key)}${next()}:${next()}${print(member)}${next()}`,
        );
    const comma = trailing && members.length > 0 ? `,${next()}` : "";
    return (isList ? "[" : "{") + (members.join(",") || next()) + comma + (isList ? "]" : "}");
  };
  return next() + print(value) + next();
}

const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.integer(), { maxLength: 2 }),
);
const tree = fc.letrec((tie) => ({
  object: fc.dictionary(word, fc.oneof({ depthSize: "small" }, leaf, tie("object")), { maxKeys: 4 }),
})).object;
const entryOf = fc.dictionary(word, leaf, { maxKeys: 3 });

function read(text: string): unknown {
  const errors: { error: number; offset: number }[] = [];
  const value = parse(text, errors as never, { allowTrailingComma: true });
  assert.deepEqual(
    errors.map(({ error }) => printParseErrorCode(error as never)),
    [],
    text,
  );
  return JSON.parse(JSON.stringify(value));
}

for (const { id, merge, remove } of CLIENTS.filter(
  (client) => client.id !== "codex" && client.id !== "claude-desktop",
)) {
  const key = { vscode: "servers", opencode: "mcp", zed: "context_servers" }[id] ?? "mcpServers";
  const document = fc
    .tuple(
      tree,
      fc.option(fc.dictionary(fc.constantFrom("a", "github", "q"), entryOf, { maxKeys: 3 })),
      gaps,
      fc.boolean(),
    )
    .map(([rest, servers, noise, trailing]) => {
      const { inputs: _, ...others } = rest as Record<string, unknown>;
      const value = { ...others, ...(servers === null ? { [key]: {} } : { [key]: servers }), last: 1 };
      return {
        value: JSON.parse(JSON.stringify(value)) as Record<string, Record<string, unknown>>,
        text: printed(value, noise, trailing),
      };
    });
  test(`${id}: no change loses another server, or anything else`, () => {
    fc.assert(
      fc.property(document, server, server, ({ value, text }, first, second) => {
        const merged = merge(text, OURS, first);
        assert.equal(merge(merged, OURS, first), merged);
        const { [OURS]: entry, ...others } = (read(merged) as typeof value)[key] as Record<string, unknown>;
        assert.ok(entry);
        assert.deepEqual({ ...(read(merged) as object), [key]: others }, value);
        // Only lines are added: each comment is there still, and in its order.
        let from = 0;
        for (const [comment] of text.matchAll(/\/\*[^*]*\*\/|\/\/[^\n"]*\n/g)) {
          from = merged.indexOf(comment.trimEnd(), from);
          assert.notEqual(from, -1, comment);
        }
        const other = merge(merged, OURS, second);
        const removed = remove(other, OURS);
        assert.deepEqual(read(removed), value);
        assert.equal(remove(removed, OURS), removed);
      }),
      { numRuns: 100 },
    );
  });
}

const PIECES = [
  "# a comment [x]\n",
  "\n",
  'a1 = "text # no comment" # one\n',
  "b2 = [1, # two\n  2, ]\n",
  'c3 = """\n[mcp_servers.ours]\n"""\n',
  "d4 = '''\n# [t] ''''\n",
  "[t1]\n",
  "[t2.'q.r'] # three\n",
  "[[list]]\n",
  "[mcp_servers.a1]\ncommand = 'x'\n",
  '  [mcp_servers."b 2"]\n  url = "u"\n',
  "[mcp_servers.b2.env]\nX = '1'\n",
  "[mcp_servers]\n",
  "[mcp_servers.ours.tools]\nx = 1\n",
  "[mcp_servers.ours]\ncommand = 'old' # mine\ntimeout = 3\n",
  "[mcp_servers.ours.env]\nMINE = '1'\n",
  "f6.g = 1979-05-27T07:32:00Z\n",
  "h7 = { i = 12345678901234567890, j = [{}] }\n",
  "mcp_servers.e5.command = 'x'\n",
];

test("codex: no change loses another table, or anything else; what it cannot change it refuses", () => {
  const codex = clientNamed("codex");
  let changed = 0;
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }),
      fc.boolean(),
      server,
      server,
      (pieces, crlf, first, second) => {
        const text = crlf ? pieces.join("").replaceAll("\n", "\r\n") : pieces.join("");
        const before = attempt(() => readToml(text));
        const merged = attempt(() => codex.merge(text, OURS, first));
        if (merged === undefined) return;
        assert.ok(before);
        changed++;
        assert.deepEqual(withoutOurs(readToml(merged)), withoutOurs(before));
        assert.equal(codex.merge(merged, OURS, first), merged);
        // What goes of an entry of ours has its comments with it.
        const isNew = codex.find(text, OURS) === undefined;
        for (const [comment] of isNew ? text.matchAll(/# [a-z ]+/g) : []) assert.ok(merged.includes(comment), comment);
        const other = attempt(() => codex.merge(merged, OURS, second));
        assert.ok(other, merged);
        const removed = codex.remove(other, OURS);
        assert.equal(codex.find(removed, OURS), undefined);
        assert.deepEqual(withoutOurs(readToml(removed)), withoutOurs(before));
        if (isNew && /(^|\n)$/.test(text)) assert.equal(codex.remove(merged, OURS), text);
      },
    ),
    { numRuns: 1_500 },
  );
  assert.ok(changed > 300, `${changed} changed`);
});

test("no text makes anything but an error with a line, or a file that reads", () => {
  const bits = fc.array(fc.constantFrom(..."{}[],:\"'=#/\\\n\r ab1.-", '"mcp"', '"servers"', "mcp_servers", "\uFEFF"), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(bits, fc.constantFrom(...CLIENTS), server, (parts, client, entry) => {
      const text = parts.join("");
      const merged = attempt(() =>
        client.merge(text, OURS, client.id === "claude-desktop" ? (SERVERS[0] as ServerEntry) : entry),
      );
      if (merged === undefined) return;
      assert.ok(client.find(merged, OURS), merged);
      assert.equal(client.find(client.remove(merged, OURS), OURS), undefined);
    }),
    { numRuns: 2_000 },
  );
});

/** What it comes to; undefined for an error that is one of ours. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof FirebreakError) || error.code !== "CLIENT_CONFIG_INVALID") throw error;
    assert.ok(Number(error.details?.line) >= 1 && Number(error.details?.column) >= 1, error.message);
    return undefined;
  }
}

function withoutOurs(document: Record<string, unknown>): unknown {
  const { mcp_servers: servers = {}, ...rest } = document;
  const { [OURS]: _, ...others } = servers as Record<string, unknown>;
  return { ...rest, others };
}
