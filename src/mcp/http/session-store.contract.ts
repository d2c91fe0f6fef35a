import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { McpSessionRecord, McpSessionStore } from "./session-store.ts";

const DAY_MS = 24 * 3_600_000;

function record(id: string, ageDays: number): McpSessionRecord {
  const at = new Date(Date.UTC(2030, 0, 31) - ageDays * DAY_MS).toISOString();
  return {
    id,
    principal: "local",
    query: "?toolsets=all",
    initialize: { protocolVersion: "2025-11-25", capabilities: { elicitation: {} } },
    subscriptions: [],
    createdAt: at,
    usedAt: at,
  };
}

/** What every store of sessions does. */
export function testSessionStore(name: string, open: () => McpSessionStore): void {
  describe(name, () => {
    test("gives back what was put in, and what has changed since", () => {
      const store = open();
      store.insert(record("a", 3));
      assert.deepEqual(store.get("a"), record("a", 3));
      store.update("a", { subscriptions: ["firebreak://vms"] });
      store.update("a", { usedAt: record("a", 0).usedAt });
      const changes = { subscriptions: ["firebreak://vms"], usedAt: record("a", 0).usedAt };
      assert.deepEqual(store.get("a"), { ...record("a", 3), ...changes });
      store.update("nobody", changes);
      assert.equal(store.get("nobody"), undefined);
      store.remove("a");
      assert.equal(store.get("a"), undefined);
    });

    test("names those that were not used for long, and the least recently used beyond a number", () => {
      const store = open();
      for (const [id, ageDays] of [
        ["new", 0],
        ["older", 1],
        ["oldest", 2],
        ["stale", 20],
      ] as const)
        store.insert(record(id, ageDays));
      const tenDaysAgo = record("", 10).usedAt;
      assert.deepEqual(store.listExpired(tenDaysAgo, 100), ["stale"]);
      assert.deepEqual(store.listExpired(tenDaysAgo, 2).sort(), ["oldest", "stale"]);
      assert.deepEqual(store.listExpired(record("", 30).usedAt, 100), []);
    });
  });
}
