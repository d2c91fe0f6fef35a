import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeMachines, fakeServer } from "../../test/support/fake-machines.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

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
