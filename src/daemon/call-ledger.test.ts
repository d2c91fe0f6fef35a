import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { CALL_LIFETIME_MS, CallStore } from "../store/calls.ts";
import { openDatabase } from "../store/database.ts";
import { CallLedger } from "./call-ledger.ts";

const request = { key: "k", tool: "vm_create", argumentsDigest: "0".repeat(64) };
const never = new AbortController().signal;
const idOf = (claim: object) => (claim as { id: string }).id;

test("an answer outlives the daemon for a day; a call that was cut off is not made again", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-calls-"));
  let nowMs = 1_000_000;
  const open = () => {
    const database = openDatabase(path.join(folder, "state.db"));
    return { database, ledger: new CallLedger(new CallStore(database, () => nowMs)) };
  };
  const first = open();
  first.ledger.finish(idOf(await first.ledger.claim(request, never, () => {})), "done");
  const cutOff = idOf(await first.ledger.claim({ ...request, key: "cut" }, never, () => {}));
  first.database.close();
  const second = open();
  assert.deepEqual(await second.ledger.claim(request, never, () => {}), { answer: "done" });
  const again = second.ledger.claim({ ...request, key: "cut" }, never, () => {});
  await assert.rejects(again, hasCode("IDEMPOTENCY_OUTCOME_UNKNOWN"));
  // Whoever made it may still be there, and know.
  second.ledger.finish(cutOff, "late");
  assert.deepEqual(await second.ledger.claim({ ...request, key: "cut" }, never, () => {}), { answer: "late" });
  nowMs += CALL_LIFETIME_MS;
  assert.ok(idOf(await second.ledger.claim(request, never, () => {})));
  second.database.close();
  rmSync(folder, { recursive: true });
});

test("whoever waits for a call gets its answer, its place, or hears that it is lost", async () => {
  const ledger = new CallLedger(new CallStore(openDatabase(":memory:")));
  const wait = async (key: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const claim = ledger.claim({ ...request, key }, never, resolve);
    claim.catch(() => {});
    await promise;
    return claim;
  };
  const ids = await Promise.all(["a", "b", "c"].map((key) => ledger.claim({ ...request, key }, never, () => {})));
  const [answered, released, lost] = [wait("a"), wait("b"), wait("c")];
  lost.catch(() => {});
  const [a = "", b = "", c = ""] = ids.map(idOf);
  ledger.finish(a, "x");
  ledger.release(b);
  ledger.lose(c);
  assert.deepEqual(await answered, { answer: "x" });
  assert.ok(idOf(await released));
  await assert.rejects(lost, hasCode("IDEMPOTENCY_OUTCOME_UNKNOWN"));
  assert.throws(() => ledger.finish(a, "y"), hasCode("CALL_NOT_FOUND"));
  assert.throws(() => ledger.finish("nonsense", "y"), hasCode("CALL_NOT_FOUND"));
});

test("one that is given up while it waits takes nothing along", async () => {
  const ledger = new CallLedger(new CallStore(openDatabase(":memory:")));
  const id = idOf(await ledger.claim(request, never, () => {}));
  const aborter = new AbortController();
  const waiting = ledger.claim(request, aborter.signal, () => aborter.abort());
  await assert.rejects(waiting, hasCode("OPERATION_CANCELED"));
  ledger.finish(id, "x");
  assert.deepEqual(await ledger.claim(request, never, () => {}), { answer: "x" });
});

test("an answer that is too large to keep is not an answer, and its call is not made again", async () => {
  const ledger = new CallLedger(new CallStore(openDatabase(":memory:")));
  ledger.finish(idOf(await ledger.claim(request, never, () => {})), undefined);
  await assert.rejects(
    ledger.claim(request, never, () => {}),
    hasCode("IDEMPOTENCY_OUTCOME_UNKNOWN"),
  );
});
