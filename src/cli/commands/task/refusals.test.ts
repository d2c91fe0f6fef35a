import assert from "node:assert/strict";
import { test } from "node:test";
import { egressEvent as event } from "../../../../test/support/egress-event.ts";
import { describeRefusals } from "./refusals.ts";

test("what was not reached is told once for each place, with where to look", () => {
  assert.equal(describeRefusals([event({ verdict: "allowed" })]), undefined);
  const { port: _, ...byName } = event({ protocol: "dns", name: "b\u001b[2J.example" });
  const told = describeRefusals([event({}), event({}), byName, event({ name: "c.example", verdict: "failed" })]) ?? "";
  assert.match(told, /^egress: a\.example:443 denied, b\S*\.example denied, c\.example:443 not reached; why: /);
  assert.ok(told.endsWith("why: firebreak egress log abc"), told);
  assert.ok(!told.includes("\u001b"), "a name of the guest's moves no cursor");
  const many = Array.from({ length: 7 }, (_each, index) => event({ name: `n${index}.example` }));
  assert.match(describeRefusals(many) ?? "", /n4\.example:443 denied and 2 more; why:/);
});
