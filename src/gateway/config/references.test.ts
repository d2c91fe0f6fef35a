import assert from "node:assert/strict";
import { test } from "node:test";
import { expandSecrets, referTo, secretsIn, withoutSecret } from "./references.ts";

test("secrets in a text are found, each once, and replaced; what is no reference stays", () => {
  const text = `a ${referTo("A")} b ${referTo("B_2")} ${referTo("A")} $\{env:C} $\{secret:not a name}`;
  assert.deepEqual(secretsIn(text), ["A", "B_2"]);
  assert.equal(
    expandSecrets(text, (name) => `<${name}$&>`),
    `a <A$&> b <B_2$&> <A$&> $\{env:C} $\{secret:not a name}`,
  );
});

test("what stands where a value will be has its form, and nothing of it that is secret", () => {
  const url = "postgresql://ann:hunter2@db.internal:5432/shop?password=hunter2#hunter2";
  assert.equal(withoutSecret("DATABASE_URL", url), "postgresql://db.internal:5432/");
  for (const value of ["hunter2", "mailto:hunter2", "https://", undefined])
    assert.equal(withoutSecret("TOKEN", value), "no-TOKEN-yet");
});
