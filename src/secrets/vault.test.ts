import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { makePlaceholder } from "./placeholder.ts";
import { Vault } from "./vault.ts";

let folder: string;
let keyFile: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-vault-"));
  keyFile = path.join(folder, "vault.key");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const seal = (text = "a value") => new Vault(keyFile).seal(text, "id:NAME", true);

test("what is sealed is opened by the same key, for the same thing, as it was", () => {
  const sealed = seal("ä value\nof two lines");
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.equal(new Vault(keyFile).open(sealed, "id:NAME"), "ä value\nof two lines");
  assert.notDeepEqual(seal(), seal(), "no two are alike");
  assert.ok(!Buffer.from(sealed).includes("value"));
  assert.throws(() => new Vault(keyFile).open(sealed, "id:OTHER"), { code: "VAULT_KEY_WRONG" });
  sealed[20] = (sealed[20] as number) ^ 1;
  assert.throws(() => new Vault(keyFile).open(sealed, "id:NAME"), { code: "VAULT_KEY_WRONG" });
  assert.throws(() => new Vault(keyFile).open(new Uint8Array(3), "id:NAME"), { code: "VAULT_KEY_WRONG" });
});

test("a key that is gone, another's, cut short or readable by others is told as such", () => {
  const sealed = seal();
  const open = () => new Vault(keyFile).open(sealed, "id:NAME");
  const key = readFileSync(keyFile);
  chmodSync(keyFile, 0o640);
  assert.throws(open, { code: "VAULT_KEY_EXPOSED", message: /mode 640/ });
  chmodSync(keyFile, 0o600);
  writeFileSync(keyFile, key.subarray(1));
  assert.throws(open, { code: "VAULT_KEY_WRONG", message: /31 bytes/ });
  writeFileSync(keyFile, Buffer.alloc(32, 7));
  assert.throws(open, { code: "VAULT_KEY_WRONG" });
  rmSync(keyFile);
  assert.throws(open, { code: "VAULT_KEY_MISSING" });
  assert.throws(() => new Vault(keyFile).seal("x", "y", false), { code: "VAULT_KEY_MISSING" });
});

test("what is derived is the same for each daemon, and another for another purpose", () => {
  const [first, again] = [new Vault(keyFile).derive("CA a", 32), new Vault(keyFile).derive("CA a", 32)];
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, new Vault(keyFile).derive("CA b", 32));
});

test("a placeholder looks like its value, tells nothing of it, and is another each time", () => {
  for (const [value, shape] of [
    ["ghp_abcDEF0123456789abcDEF0123456789abcd", /^ghp_[a-z]{3}[A-Z]{3}\d{10}[a-z]{3}[A-Z]{3}\d{10}[a-z]{4}$/],
    ["sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz", /^sk-ant-api03-(?:[A-Z][a-z]){13}$/],
    ["AKIAIOSFODNN7EXAMPLE", /^AKIA[A-Z]{8}\d[A-Z]{7}[A-Za-z0-9]*$/],
    ["hunter22", /^[a-z]{6}\d\d[A-Za-z0-9]{12}$/],
    ["päss wörd/+=12345678", /^[\w.-]{20,}$/],
  ] as const) {
    const [one, two] = [makePlaceholder(value), makePlaceholder(value)];
    assert.match(one, shape);
    assert.notEqual(one, two);
    assert.notEqual(one, value);
  }
});
