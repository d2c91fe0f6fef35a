import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

let check: string | undefined;
let isUsed: boolean;
beforeEach(() => {
  check = undefined;
  isUsed = false;
});
const openVault = () =>
  new Vault(keyFile, {
    readCheck: () => check,
    keepCheck: (own) => {
      check = own;
    },
    holdsAny: () => isUsed,
  });
const seal = (text = "a value") => openVault().seal(text, "id:NAME");

test("what is sealed is opened by the same key, for the same thing, as it was", () => {
  const sealed = seal("ä value\nof two lines");
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  isUsed = true;
  assert.equal(openVault().open(sealed, "id:NAME"), "ä value\nof two lines");
  assert.notDeepEqual(seal(), seal(), "no two are alike");
  assert.ok(!Buffer.from(sealed).includes("value"));
  assert.equal(openVault().open(sealed, "id:OTHER"), undefined);
  sealed[20] = (sealed[20] as number) ^ 1;
  assert.equal(openVault().open(sealed, "id:NAME"), undefined);
  assert.equal(openVault().open(new Uint8Array(3), "id:NAME"), undefined);
});

test("a key that is gone, another's, cut short or readable by others is told as such, and not replaced", () => {
  const sealed = seal();
  isUsed = true;
  const uses = [
    () => openVault().open(sealed, "id:NAME"),
    () => openVault().seal("x", "y"),
    () => openVault().derive("CA", 32),
  ];
  const refused = (code: string, message = /./) => {
    for (const use of uses) assert.throws(use, { code, message });
  };
  const key = readFileSync(keyFile);
  chmodSync(keyFile, 0o640);
  refused("VAULT_KEY_EXPOSED", /mode 640/);
  chmodSync(keyFile, 0o600);
  writeFileSync(keyFile, key.subarray(1));
  refused("VAULT_KEY_WRONG", /31 bytes/);
  writeFileSync(keyFile, Buffer.alloc(32, 7));
  refused("VAULT_KEY_WRONG", /sealed with/);
  writeFileSync(keyFile, "");
  refused("VAULT_KEY_MISSING");
  rmSync(keyFile);
  refused("VAULT_KEY_MISSING");
  assert.deepEqual(readdirSync(folder), []);
});

test("a vault that holds nothing any more gets another key where its own is gone, cut off or another", () => {
  for (const spoil of [
    () => rmSync(keyFile),
    () => writeFileSync(keyFile, ""),
    () => writeFileSync(keyFile, Buffer.alloc(32, 7)),
  ]) {
    isUsed = false;
    seal();
    spoil();
    const sealed = seal();
    isUsed = true;
    assert.equal(openVault().open(sealed, "id:NAME"), "a value");
  }
});

test("what is derived is the same for each daemon, and another for another purpose", () => {
  const [first, again] = [openVault().derive("CA a", 32), openVault().derive("CA a", 32)];
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, openVault().derive("CA b", 32));
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
