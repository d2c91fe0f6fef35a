import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isAllowed, nameTools } from "./names.ts";

test("tools carry their server's name at the endpoint of all, and their own at its own", () => {
  assert.deepEqual(
    [...nameTools("git", ["status", "log"], {}, true)],
    [
      ["git__status", "status"],
      ["git__log", "log"],
    ],
  );
  assert.deepEqual([...nameTools("git", ["git.status"], {}, false)], [["git.status", "git.status"]]);
});

test("what model APIs do not take is replaced, and two that would be the same stay two", () => {
  const names = [...nameTools("s", ["a.b", "a/b", "a_b"], {}, true).entries()];
  assert.equal(new Set(names.map(([name]) => name)).size, 3);
  assert.deepEqual(
    names.map(([, tool]) => tool),
    ["a.b", "a/b", "a_b"],
  );
  assert.equal(names[2]?.[0], "s__a_b");
});

test("names fit with the client's prefix, are unique, and the same every time", () => {
  const tools = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 128 }), { maxLength: 40 });
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$/), tools, (server, list) => {
      const names = nameTools(server, list, {}, true);
      assert.equal(names.size, list.length);
      for (const name of names.keys()) assert.match(`mcp__firebreak__${name}`, /^[A-Za-z0-9_-]{1,64}$/);
      assert.deepEqual([...nameTools(server, list, {}, true)], [...names]);
    }),
  );
});

test("deny goes before allow, and a star is any part", () => {
  const rules = { allow: ["get_*", "list"], deny: ["*_secret*"] };
  assert.deepEqual(
    ["get_issue", "list", "list_all", "get_secret", "get_secrets_now"].map((tool) => isAllowed(tool, rules)),
    [true, true, false, false, false],
  );
  assert.equal(isAllowed("aXbXc", { allow: ["a*b*c"] }), true);
  assert.equal(isAllowed("ab", { allow: ["ab*b"] }), false);
  assert.equal(isAllowed("x".repeat(100), { allow: [`${"*x".repeat(60)}*y`] }), false);
});

test("a tool's other name is offered in its place", () => {
  assert.deepEqual([...nameTools("s", ["run"], { rename: { run: "execute" } }, true)], [["s__execute", "run"]]);
});
