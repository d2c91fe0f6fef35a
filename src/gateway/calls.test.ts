import assert from "node:assert/strict";
import { test } from "node:test";
import { Call, Calls, ParkedCalls } from "./calls.ts";
import { RpcError } from "./rpc/messages.ts";

const idle = new AbortController().signal;

function begin(calls: Calls, principal = "local", capabilities: Record<string, unknown> = { elicitation: {} }) {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  let isCanceled = false;
  const call = new Call({ principal, capabilities, onLog: () => {} }, (signal) => {
    signal.addEventListener("abort", () => {
      isCanceled = true;
      reject(new Error("canceled"));
    });
    return promise;
  });
  calls.begin(call);
  return { call, finish: resolve, isCanceled: () => isCanceled };
}

test("what a server asks reaches the call's client, whose answer it gets, and the call goes on", async () => {
  const calls = new Calls();
  const parked = new ParkedCalls();
  const { call, finish } = begin(calls);
  const asked = calls.ask("elicitation/create", { message: "name?" }, idle);
  const round = await call.next(idle);
  assert.ok("question" in round);
  assert.deepEqual(round.question.params, { message: "name?" });
  const state = parked.park(call, round.question, "s");
  const back = parked.take(state, "local", "s");
  back.question.answer({ action: "accept" });
  assert.deepEqual(await asked, { action: "accept" });
  finish({ content: [] });
  assert.deepEqual(await back.call.next(idle), { result: { content: [] } });
  assert.equal(calls.size, 0);
});

test("a question never reaches another client: several principals' calls, a client that cannot be asked, or nobody's", async () => {
  const refused = (error: unknown) => error instanceof RpcError;
  const calls = new Calls();
  await assert.rejects(calls.ask("elicitation/create", {}, idle), refused);
  begin(calls, "one");
  begin(calls, "two");
  await assert.rejects(calls.ask("elicitation/create", {}, idle), refused);
  const mute = new Calls();
  begin(mute, "one", {});
  await assert.rejects(mute.ask("elicitation/create", {}, idle), refused);
});

test("a parked call is taken once, by its own client, for the call that it is", () => {
  const parked = new ParkedCalls();
  const { call } = begin(new Calls(), "one");
  const question = { method: "m", params: {}, answer: () => {}, refuse: () => {} };
  const state = parked.park(call, question, "tool a");
  for (const [who, subject] of [
    ["two", "tool a"],
    ["one", "tool b"],
  ] as const)
    assert.throws(() => parked.take(state, who, subject), RpcError);
  parked.take(state, "one", "tool a");
  assert.throws(() => parked.take(state, "one", "tool a"), RpcError);
  parked.close();
});

test("a client that goes away gives its call up", async () => {
  const { call, isCanceled } = begin(new Calls());
  const aborter = new AbortController();
  const round = call.next(aborter.signal);
  aborter.abort();
  await assert.rejects(round);
  assert.ok(isCanceled());
});

test("what a server does not want to know any more is asked of nobody", async () => {
  const calls = new Calls();
  const { call, finish } = begin(calls);
  const aborter = new AbortController();
  const asked = calls.ask("elicitation/create", {}, aborter.signal);
  aborter.abort();
  await assert.rejects(asked);
  const round = call.next(idle);
  finish({ content: [] });
  assert.deepEqual(await round, { result: { content: [] } });
});
