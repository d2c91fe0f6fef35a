import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeMachines, fakeServer } from "../../test/support/fake-machines.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { SESSION_LABEL, STATE_LABEL, USED_LABEL } from "./machine.ts";

describe("a server that does not start", () => {
  test("is not tried anew with each call: they are answered at once, with when it is", async () => {
    const machines = new FakeMachines();
    const clock = { nowMs: 0 };
    const server = fakeServer(machines, {}, { nowMs: () => clock.nowMs });
    const call = () => server.use(undefined, {}, async () => {});
    await assert.rejects(call(), hasCode("SERVER_FAILED"));
    for (let count = 0; count < 5; count++)
      await assert.rejects(call(), {
        code: "SERVER_FAILED",
        message: /has ended with code 1/,
        hint: /tries again in 5 s/,
      });
    await assert.rejects(server.prepare(), /has ended with code 1/);
    assert.deepEqual([machines.made.builds, machines.running.size], [1, 0]);
    assert.deepEqual([server.failure?.error.code, server.failure?.retryAtMs], ["SERVER_FAILED", 5_000]);
    clock.nowMs = 5_000;
    await assert.rejects(call());
    assert.equal(machines.made.builds, 2);
    assert.equal(server.failure?.retryAtMs, 35_000);
  });

  test("is tried at once by whoever insists", async () => {
    const machines = new FakeMachines();
    const server = fakeServer(machines);
    for (let count = 1; count <= 3; count++) {
      await assert.rejects(server.prepare({ isForced: true }), hasCode("SERVER_FAILED"));
      assert.equal(machines.made.builds, count);
    }
  });

  test("is tried once for all who call it at a time", async () => {
    const machines = new FakeMachines();
    const gate = Promise.withResolvers<void>();
    machines.gate = gate.promise;
    const server = fakeServer(machines, { isolation: "session" });
    const calls = ["a", "b", "c"].map((key) => server.use(key, {}, async () => {}));
    const forced = server.prepare({ isForced: true });
    const outcomes = Promise.allSettled([...calls, forced]);
    gate.resolve();
    assert.ok((await outcomes).every(({ status }) => status === "rejected"));
    assert.equal(machines.made.builds, 1);
  });

  test("is remembered also when it fails in what was saved of it", async () => {
    const machines = new FakeMachines();
    const server = fakeServer(machines, {}, { isSaved: true });
    for (let count = 0; count < 3; count++)
      await assert.rejects(
        server.use(undefined, {}, async () => {}),
        /has ended with code 1/,
      );
    assert.deepEqual(machines.made, { builds: 0, forks: 1 });
  });

  test("is not remembered where the host is at fault, or the caller has given up", async () => {
    const machines = new FakeMachines();
    machines.failing = new FirebreakError("VM_MEMORY_EXHAUSTED", "no room");
    const server = fakeServer(machines);
    for (let count = 1; count <= 2; count++) {
      await assert.rejects(server.prepare(), hasCode("VM_MEMORY_EXHAUSTED"));
      assert.equal(machines.made.builds, count);
    }
    const aborter = new AbortController();
    machines.gate = new Promise<void>((resolve) => aborter.signal.addEventListener("abort", () => resolve()));
    const given = server.prepare({ signal: aborter.signal });
    aborter.abort();
    await assert.rejects(given, hasCode("OPERATION_CANCELED"));
    assert.equal(server.failure, undefined);
  });
});

test("what was saved of other packages, or of other secrets, is not gone on with", async () => {
  const machines = new FakeMachines();
  const server = fakeServer(machines, {}, { isSaved: true });
  await server.prepare();
  assert.equal(machines.made.builds, 0);
  machines.placeholdersOf = () => ({ TOKEN: "another placeholder" });
  await assert.rejects(server.prepare());
  assert.equal(machines.made.builds, 1);
});

describe("VMs of sessions", () => {
  const HOUR_MS = 3_600_000;
  const NOW_MS = Date.parse("2026-06-01T12:00:00Z");
  const vmOf = (session: string, usedMs?: number) => ({
    [SESSION_LABEL]: session,
    [STATE_LABEL]: "key.mcp-1",
    ...(usedMs === undefined ? {} : { [USED_LABEL]: new Date(usedMs).toISOString() }),
  });
  const settle = async () => {
    for (let count = 0; count < 20; count++) await turn();
  };

  async function withClock(work: (pass: (ms: number) => Promise<void>) => Promise<void>): Promise<void> {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW_MS });
    try {
      await work(async (ms) => {
        mock.timers.tick(ms);
        await settle();
      });
    } finally {
      mock.timers.reset();
    }
  }

  function sessionServer(isSessionOver: (key: string) => boolean = () => false) {
    const machines = new FakeMachines();
    machines.failing = undefined;
    const changes = { isolation: "session", idleTimeoutMs: HOUR_MS / 6, sessionTimeoutMs: 8 * HOUR_MS } as const;
    return { machines, server: fakeServer(machines, changes, { isSaved: true, isSessionOver }) };
  }

  test("whose clients have gone without a word are deleted after the session's timeout", () =>
    withClock(async (pass) => {
      const { machines, server } = sessionServer();
      const call = (key: string) => server.use(key, {}, async () => {});
      await call("a");
      await pass(HOUR_MS);
      await call("b");
      assert.deepEqual(machines.states, { a: "suspended", b: "running" });
      await pass(7 * HOUR_MS - 1);
      assert.deepEqual(machines.states, { a: "suspended", b: "suspended" });
      await pass(1);
      assert.deepEqual(machines.states, { b: "suspended" });
      // Who calls in time has its VM for as long again.
      await call("a");
      await pass(8 * HOUR_MS - 1);
      assert.deepEqual(machines.states, { a: "suspended" });
      await pass(1);
      assert.deepEqual(machines.states, {});
    }));

  test("go at once with the session, also one that is being made", () =>
    withClock(async () => {
      const { machines, server } = sessionServer();
      const under = Promise.withResolvers<void>();
      await server.use("a", {}, async () => {});
      await server.endSession("a");
      assert.deepEqual(machines.sessions, []);
      const gate = Promise.withResolvers<void>();
      machines.gate = gate.promise;
      const calling = server.use("b", {}, () => under.promise);
      await server.endSession("b");
      gate.resolve();
      await settle();
      assert.deepEqual(machines.sessions, ["b"]);
      under.resolve();
      await calling;
      await settle();
      assert.deepEqual(machines.sessions, []);
    }));

  test("that an earlier daemon has left go when their session is over, or has been for long", () =>
    withClock(async (pass) => {
      const { machines, server } = sessionServer((key) => key === "over");
      machines.add(vmOf("over"), "running");
      machines.add(vmOf("old", NOW_MS - 9 * HOUR_MS));
      machines.add(vmOf("recent", NOW_MS - 7 * HOUR_MS));
      machines.add(vmOf("unknown"));
      machines.add(vmOf("running", NOW_MS - 9 * HOUR_MS), "running");
      await server.watchFound();
      await pass(1);
      assert.deepEqual(machines.sessions, ["recent", "unknown", "running"]);
      await pass(HOUR_MS);
      assert.deepEqual(machines.states, { unknown: "suspended", running: "suspended" });
      await pass(7 * HOUR_MS);
      assert.deepEqual(machines.sessions, []);
      server.close();
    }));

  test("say when they were last used, for the next daemon", () =>
    withClock(async (pass) => {
      const { machines, server } = sessionServer();
      await server.use("a", {}, async () => {});
      await pass(HOUR_MS);
      const [vm] = machines.vms.list();
      assert.equal(vm?.labels[USED_LABEL], new Date(NOW_MS).toISOString());
      server.close();
    }));
});
