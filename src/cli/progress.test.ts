import assert from "node:assert/strict";
import { test } from "node:test";
import type { Progress } from "../contract/vm.ts";
import { ProgressLine } from "./progress.ts";

/** A screen and a clock that only the test moves. */
function createHost(isTerminal: boolean) {
  let nowMs = 0;
  let timers: { atMs: number; callback: () => void }[] = [];
  let written = "";
  return {
    host: {
      isTerminal,
      columns: 80,
      write: (text: string) => {
        written += text;
      },
      after: (ms: number, callback: () => void) => {
        const timer = { atMs: nowMs + ms, callback };
        timers.push(timer);
        return () => {
          timers = timers.filter((other) => other !== timer);
        };
      },
    },
    pass: (ms: number) => {
      nowMs += ms;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { callback } of due) callback();
    },
    take: () => {
      const taken = written;
      written = "";
      return taken;
    },
  };
}

const steps: Progress[] = [
  { step: "restore", message: "restoring the VM" },
  { step: "snapshot", message: "saving the VM" },
];

for (const isTerminal of [true, false]) {
  test(`steps that are over in a moment show nothing ${isTerminal ? "on" : "without"} a terminal`, () => {
    const { host, pass, take } = createHost(isTerminal);
    const line = new ProgressLine(false, host);
    for (const step of steps) {
      line.update(step);
      pass(50);
    }
    line.clear();
    pass(10_000);
    assert.equal(take(), "");
  });
}

test("without a terminal a step that lasts is one line, and so is each quarter of it that lasts", () => {
  const { host, pass, take } = createHost(false);
  const line = new ProgressLine(false, host);
  for (const fraction of [0, 0.1, 0.2, 0.3, 0.4]) {
    line.update({ step: "build", message: "building", fraction });
    pass(700);
  }
  assert.equal(take(), "building 10 %\nbuilding 40 %\n");
  pass(10_000);
  assert.equal(take(), "");
});

test("on a terminal the line is drawn once the work has lasted, follows it, and goes with it", () => {
  const { host, pass, take } = createHost(true);
  const line = new ProgressLine(false, host);
  line.update(steps[0] as Progress);
  pass(500);
  assert.equal(take(), "\r\x1b[Krestoring the VM");
  line.update({ step: "build", message: "building", fraction: 0.5 });
  assert.equal(take(), "\r\x1b[K[############------------]  50 % building");
  line.clear();
  assert.equal(take(), "\r\x1b[K");
  line.clear();
  assert.equal(take(), "");
});

test("that the VM is emulated is said at once, wherever it goes", () => {
  for (const isTerminal of [true, false]) {
    const { host, take } = createHost(isTerminal);
    new ProgressLine(false, host).update({ step: "accel", message: "using emulation (TCG): no KVM" });
    assert.equal(take(), "firebreak: using emulation (TCG): no KVM\n");
  }
});

test("with --json nothing is told", () => {
  const { host, pass, take } = createHost(false);
  new ProgressLine(true, host).update(steps[0] as Progress);
  pass(10_000);
  assert.equal(take(), "");
});

test("what tells of no steps is said while it lasts, and goes whether it succeeds or fails", async () => {
  const { host, pass, take } = createHost(true);
  const line = new ProgressLine(false, host);
  const look = async () => {
    pass(500);
    return 1;
  };
  assert.equal(await line.during("looking", look), 1);
  assert.equal(take(), "\r\x1b[Klooking\r\x1b[K");
  await assert.rejects(
    line.during("looking", () => look().then(() => Promise.reject(new Error("no")))),
    /no/,
  );
  assert.equal(take(), "\r\x1b[Klooking\r\x1b[K");
});
