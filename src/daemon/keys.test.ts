import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { openDatabase } from "../store/database.ts";
import { SqliteKeyStore } from "../store/keys.ts";
import { KeyRing } from "./keys.ts";

const STEP_MS = 60_000;
let database: ReturnType<typeof openDatabase>;
let nowMs: number;
let keys: KeyRing;
beforeEach(() => {
  database = openDatabase(":memory:");
  nowMs = Date.parse("2026-01-01T00:00:00Z");
  keys = openRing();
});

/** What the next daemon would have. */
const openRing = () => new KeyRing(new SqliteKeyStore(database), () => nowMs);
const code = (value: string) => ({ code: value });

test("a key is told once, and is known by its digest to this daemon and the next", () => {
  const created = keys.create({ name: "laptop" });
  assert.match(created.key, /^fbk_[A-Za-z0-9_-]{43}$/);
  assert.equal(keys.authenticate(created.key).name, "laptop");
  assert.equal(openRing().authenticate(created.key).id, created.id);
  assert.ok(!JSON.stringify(keys.list()).includes(created.key));
  const rows = database.prepare("SELECT * FROM api_keys").all();
  assert.ok(!JSON.stringify(rows).includes(created.key));
  assert.ok(rows[0]?.digest instanceof Uint8Array && rows[0].digest.length === 32);
});

test("no two keys are alike", () => {
  const made = Array.from({ length: 50 }, () => keys.create({}));
  assert.equal(new Set(made.map(({ key }) => key)).size, 50);
  assert.equal(new Set(made.map(({ name }) => name)).size, 50);
});

test("what is no key, or nearly one, is refused in the same words", () => {
  const { key } = keys.create({});
  const wrong = [
    `${key}x`,
    key.slice(0, -1),
    key.toUpperCase(),
    key.replace("fbk_", ""),
    "",
    "fbk_",
    `fbk_${"A".repeat(43)}`,
  ];
  const refusals = wrong.map((presented) => {
    let refusal: unknown;
    assert.throws(
      () => keys.authenticate(presented),
      (error) => {
        refusal = error;
        return true;
      },
      presented,
    );
    return refusal as { code: string; message: string };
  });
  const messages = refusals.map(({ code, message }) => `${code} ${message}`);
  assert.match(messages[0] as string, /^API_KEY_INVALID /);
  assert.equal(new Set(messages).size, 1);
  assert.ok(!messages[0]?.includes(key));
});

test("a revoked key is refused, by this daemon and the next, and its name is free again", () => {
  const { key } = keys.create({ name: "laptop" });
  assert.throws(() => keys.create({ name: "laptop" }), code("KEY_ALREADY_EXISTS"));
  keys.revoke("laptop");
  assert.throws(() => keys.authenticate(key), code("API_KEY_INVALID"));
  assert.throws(() => openRing().authenticate(key), code("API_KEY_INVALID"));
  assert.throws(() => keys.revoke("laptop"), code("KEY_NOT_FOUND"));
  assert.notEqual(keys.create({ name: "laptop" }).key, key);
});

test("a key is good until its time is over, and a daemon with expired keys only has none to use", () => {
  const { key } = keys.create({ name: "ci", lifeMs: 1_000 });
  assert.ok(keys.hasUsable());
  nowMs += 999;
  assert.equal(keys.authenticate(key).name, "ci");
  nowMs += 1;
  assert.throws(() => keys.authenticate(key), code("API_KEY_EXPIRED"));
  assert.equal(keys.hasUsable(), false);
});

test("the last use is kept to the minute", () => {
  const { key } = keys.create({});
  const lastUse = () => openRing().list()[0]?.lastUsedAt;
  assert.equal(lastUse(), undefined);
  keys.authenticate(key);
  const first = lastUse();
  assert.equal(first, "2026-01-01T00:00:00.000Z");
  nowMs += STEP_MS - 1;
  keys.authenticate(key);
  assert.equal(lastUse(), first);
  nowMs += 1;
  keys.authenticate(key);
  assert.equal(lastUse(), "2026-01-01T00:01:00.000Z");
});

test("a key's making and revoking are among the events, the key is not", () => {
  const { key, id } = keys.create({ name: "laptop" });
  keys.revoke(id);
  const events = database.prepare("SELECT kind, data FROM events ORDER BY id").all();
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["key_created", "key_revoked"],
  );
  assert.ok(events.every(({ data }) => !String(data).includes(key) && String(data).includes(id)));
});

test("a disk that is full loses the last use rather than the caller", () => {
  const { key } = keys.create({});
  database.close();
  assert.ok(keys.authenticate(key));
});
