import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { PolicyFile } from "./policy-file.ts";

const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing is wrong";
};

test("what is no policy is told with line and column", () => {
  for (const [text, expected] of [
    ["", /^p\.json:1:1: it is not JSON/],
    ['{\n  "mode": "allowlist",\n  "allow": [}\n}', /^p\.json:3:13: it is not JSON/],
    ['{\n  "mode": "all"\n}', /^p\.json:2:3: mode: /],
    ['{\n  "mode": "allowlist",\n  "allow": [\n    {"host": 5}\n  ]\n}', /^p\.json:4:\d+: allow\.0/],
    ['{\n  "mode": "allowlist",\n\n  "alow": []}', /^p\.json:4:3: /],
    ["[]", /^p\.json:1:1: /],
  ] as const)
    assert.match(
      messageOf(() => new PolicyFile(text, "p.json")),
      expected,
      text,
    );
});

test("what the daemon finds is told where it stands; what was added to the file's rules, where their list is", () => {
  const file = new PolicyFile(
    '{\n  "mode": "allowlist",\n  "allow": ["a.example",\n    "127.1"],\n  "hosts": {"x y": "127.0.0.1"}\n}',
    "-",
  );
  const problems = ["allow[1]", "hosts.x y", "allow[7]", "deny"].map((field) => ({ field, message: "wrong" }));
  const explained = file.explain(new FirebreakError("POLICY_INVALID", "wrong", { hint: "do", details: { problems } }));
  assert.ok(explained instanceof FirebreakError);
  assert.equal(
    explained.message,
    "stdin:4:5: allow[1]: wrong; stdin:5:13: hosts.x y: wrong; stdin:3:3: allow[7]: wrong; stdin:1:1: deny: wrong",
  );
  assert.deepEqual([explained.code, explained.hint], ["POLICY_INVALID", "do"]);
  const other = new FirebreakError("VM_NOT_FOUND", "no");
  assert.equal(file.explain(other), other);
});
