import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressPolicy } from "../../../../../src/contract/policy.ts";
import { describeRule, fromDraft, toDraft } from "./policy-text.ts";

const POLICY: EgressPolicy = {
  mode: "allowlist",
  allow: ["example.org", { host: "web.test", ports: "80", private: true, methods: ["GET"], paths: ["/a"] }],
  deny: ["evil.example"],
  hosts: { "web.test": "127.0.0.1" },
};

test("a policy that nothing is changed of stays what it is", () => {
  assert.deepEqual(fromDraft(toDraft(POLICY), POLICY), POLICY);
  const none: EgressPolicy = { mode: "none" };
  assert.deepEqual(fromDraft(toDraft(none), none), none);
});

test("a rule is a line, and what a mode has no use for is left out", () => {
  const draft = { mode: "allowlist", allow: " a.example \n\n*.b.example:443\n", deny: "" } as const;
  assert.deepEqual(fromDraft(draft, { mode: "none" }), { mode: "allowlist", allow: ["a.example", "*.b.example:443"] });
  assert.deepEqual(fromDraft({ ...draft, mode: "public", deny: "c.example" }, POLICY), {
    mode: "public",
    deny: ["c.example"],
    hosts: POLICY.hosts,
  });
  assert.deepEqual(fromDraft({ ...draft, mode: "none" }, POLICY), { mode: "none" });
});

test("a rule that begins as JSON and is none is told with its line", () => {
  const draft = { mode: "allowlist", allow: "a.example\n{host", deny: "" } as const;
  assert.throws(() => fromDraft(draft, POLICY), /Allowed, line 2/);
});

test("rules are told to people in a line", () => {
  assert.deepEqual(POLICY.allow?.map(describeRule), ["example.org", "web.test:80 (GET /a private)"]);
});
