import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERROR_CLASSES, ERROR_CODES } from "./catalogue.ts";
import { FirebreakError, toFirebreakError } from "./firebreak-error.ts";

test("an error's status and exit code follow from its class", () => {
  const error = new FirebreakError("VM_NOT_FOUND", "no VM is named 'x'");
  assert.equal(error.httpStatus, 404);
  assert.equal(error.exitCode, 3);
});

test("a code may set an exit code of its own", () => {
  assert.equal(new FirebreakError("COMMAND_NOT_FOUND", "x").exitCode, 127);
  assert.equal(new FirebreakError("COMMAND_NOT_EXECUTABLE", "x").exitCode, 126);
});

test("an error survives the wire", () => {
  const error = new FirebreakError("VM_STATE_CONFLICT", "is stopped", {
    hint: "start it",
    details: { state: "stopped" },
  });
  assert.deepEqual(FirebreakError.fromBody(error.toBody()).toBody(), error.toBody());
});

test("a code of a newer daemon becomes INTERNAL and keeps its name in the message", () => {
  const error = FirebreakError.fromBody({ code: "NEVER_HEARD", message: "m" });
  assert.equal(error.code, "INTERNAL");
  assert.match(error.message, /NEVER_HEARD/);
});

test("a full host disk and an abort have codes of their own", () => {
  assert.equal(toFirebreakError(Object.assign(new Error("x"), { code: "ENOSPC" })).code, "HOST_DISK_FULL");
  assert.equal(toFirebreakError(Object.assign(new Error("x"), { name: "AbortError" })).code, "OPERATION_CANCELED");
});

test("docs/errors.md lists exactly the codes of the catalogue, with their class, status and exit code", () => {
  const lines = readFileSync("docs/errors.md", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  const expected = Object.entries(ERROR_CODES).map(([code, entry]) => {
    const numbers = ERROR_CLASSES[entry.class];
    const exit = "exit" in entry ? entry.exit : numbers.exit;
    return `| \`${code}\` | ${entry.class} | ${numbers.http} | ${exit} | ${entry.about} |`;
  });
  assert.deepEqual(lines, expected);
});
