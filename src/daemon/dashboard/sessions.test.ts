import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { openDatabase } from "../../store/database.ts";
import { SqliteKeyStore } from "../../store/keys.ts";
import { SqliteSettings } from "../../store/settings.ts";
import { KeyRing } from "../keys.ts";
import { Sessions } from "./sessions.ts";

const HOUR_MS = 3600_000;
let nowMs: number;
let database: ReturnType<typeof openDatabase>;
let keys: KeyRing;
let sessions: Sessions;
beforeEach(() => {
  nowMs = Date.parse("2026-01-01T00:00:00Z");
  database = openDatabase(":memory:");
  keys = new KeyRing(new SqliteKeyStore(database), () => nowMs);
  sessions = open();
});

/** What the next daemon would have. */
const open = () => new Sessions({ keys, settings: new SqliteSettings(database), nowMs: () => nowMs });
const code = (value: string) => ({ code: value });

test("a code opens one session, of the owner's", () => {
  const { code: text } = sessions.createCode();
  const { session, token } = sessions.openWithCode(text);
  assert.deepEqual([session.name, session.isOwner], ["dashboard", true]);
  assert.equal(sessions.authenticate(token).id, session.id);
  assert.throws(() => sessions.openWithCode(text), code("LOGIN_CODE_INVALID"));
});

test("a code that is five minutes old, of another daemon's or made up opens nothing", () => {
  const { code: old } = sessions.createCode();
  const { code: other } = open().createCode();
  nowMs += 5 * 60_000;
  for (const text of [old, other, "", "A".repeat(43)])
    assert.throws(() => sessions.openWithCode(text), code("LOGIN_CODE_INVALID"));
});

test("a session ends twelve hours after its last use, and after thirty days at most", () => {
  const { token } = sessions.openWithCode(sessions.createCode().code);
  const { token: unused, session } = sessions.openWithCode(sessions.createCode().code);
  for (let hours = 0; hours < 30 * 24 - 11; hours += 11) {
    assert.equal(sessions.authenticate(token).name, "dashboard", `after ${hours} h`);
    nowMs += 11 * HOUR_MS;
  }
  assert.throws(() => sessions.authenticate(unused), code("SESSION_ENDED"));
  assert.equal(sessions.isUsable(session.id), false);
  nowMs += 11 * HOUR_MS;
  assert.throws(() => sessions.authenticate(token), code("SESSION_ENDED"));
});

test("the next daemon knows a session, by the digest of its token alone", () => {
  const { token, session } = sessions.openWithCode(sessions.createCode().code);
  assert.equal(open().authenticate(token).id, session.id);
  assert.ok(!JSON.stringify(database.prepare("SELECT * FROM settings").all()).includes(token));
  sessions.end(session.id);
  assert.throws(() => sessions.authenticate(token), code("SESSION_ENDED"));
  assert.throws(() => open().authenticate(token), code("SESSION_ENDED"));
});

test("what is kept of sessions and is none of ours is no reason not to start", () => {
  new SqliteSettings(database).set("dashboard_sessions", { some: "thing" });
  assert.throws(() => open().authenticate("A".repeat(43)), code("SESSION_ENDED"));
});

test("a session that an API key has opened has its name, is no owner's and ends with it", () => {
  const key = keys.create({ name: "phone" });
  const { session, token } = sessions.openWithKey(key.key);
  assert.deepEqual([session.name, session.isOwner, session.keyId], ["phone", false, key.id]);
  assert.throws(() => sessions.openWithKey(`fbk_${"A".repeat(43)}`), code("API_KEY_INVALID"));
  keys.revoke("phone");
  assert.equal(sessions.isUsable(session.id), false);
  assert.throws(() => sessions.authenticate(token), code("SESSION_ENDED"));
});

test("no more than a hundred sessions are kept, those that were used last", () => {
  const tokens = Array.from({ length: 101 }, () => {
    nowMs += 1_000;
    return sessions.openWithCode(sessions.createCode().code).token;
  });
  assert.throws(() => sessions.authenticate(tokens[0] as string), code("SESSION_ENDED"));
  assert.equal(sessions.authenticate(tokens[1] as string).name, "dashboard");
});
