import assert from "node:assert/strict";
import { test } from "node:test";
import { expandSecrets, referTo, secretsIn } from "./references.ts";

test("secrets in a text are found, each once, and replaced; what is no reference stays", () => {
  const text = `a ${referTo("A")} b ${referTo("B_2")} ${referTo("A")} $\{env:C} $\{secret:not a name}`;
  assert.deepEqual(secretsIn(text), ["A", "B_2"]);
  assert.equal(
    expandSecrets(text, (name) => `<${name}$&>`),
    `a <A$&> b <B_2$&> <A$&> $\{env:C} $\{secret:not a name}`,
  );
});
