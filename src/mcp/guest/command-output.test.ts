import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";

const chunk = (type: "stdout" | "stderr", text: string) => ({ type, bytes: Buffer.from(text) });
const args = { vm: "web", exec_id: "exec-1" };

test("a command's output is read in pages that fit together, with both streams", async () => {
  const output = [chunk("stdout", "äöü".repeat(10)), chunk("stderr", "oh"), chunk("stdout", "end")];
  const call = caller(createFakeVmClient(["web"], { output, exit: { exitCode: 3 } }));
  const whole = await call("command_output", args);
  assert.deepEqual(
    [whole.data.stdout, whole.data.stderr, whole.data.next_offset, whole.data.more, whole.data.exit_code],
    [`${"äöü".repeat(10)}end`, "oh", 65, false, 3],
  );
  // 17 bytes end within a character, which is left to the next page.
  const page = await call("command_output", { ...args, max_bytes: 17 });
  assert.deepEqual([page.data.stdout, page.data.next_offset, page.data.more], ["äöüäöüäö", 16, true]);
  assert.equal(page.data.exit_code, undefined);
});

test("the output of a command that does not exist is an error", async () => {
  const call = caller(createFakeVmClient());
  assert.equal((await call("command_input", { ...args, exec_id: "nope", eof: true })).data.code, "EXEC_NOT_FOUND");
  assert.equal((await call("command_input", { ...args, eof: true })).data.code, "EXEC_STATE_CONFLICT");
  assert.equal((await call("command_input", args)).data.code, "INVALID_ARGUMENT");
  assert.equal((await call("command_status", { ...args, exec_id: "nope" })).data.code, "EXEC_NOT_FOUND");
  assert.equal((await call("command_status", { ...args, exec_id: "../x" })).data.code, "INVALID_ARGUMENT");
});
