import assert from "node:assert/strict";
import { test } from "node:test";
import { auditReportSchema } from "../contract/audit.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { toReport } from "./report-call.ts";
import { toFailure } from "./result.ts";

const OK = { content: [{ type: "text" as const, text: "done" }] };
const report = (result: Parameters<typeof toReport>[0]["result"], args: unknown = { vm: "web", n: 1 }) =>
  toReport({ tool: "vm_get", args, result, durationMs: 1.234, client: { name: "c", version: "1" } });

test("a call is told of with its sizes and how it ended", () => {
  assert.deepEqual(report(OK), {
    client: { name: "c", version: "1" },
    tool: "vm_get",
    vm: "web",
    requestBytes: 18,
    responseBytes: 43,
    durationMs: 1.2,
    verdict: "ok",
    arguments: { vm: "web", n: 1 },
  });
});

test("how it ended follows from the error", () => {
  const of = (code: ConstructorParameters<typeof FirebreakError>[0]) => {
    const { verdict, code: told } = report(toFailure(new FirebreakError(code, "x"), undefined));
    assert.equal(told, code);
    return verdict;
  };
  assert.equal(of("VM_NOT_FOUND"), "tool_error");
  assert.equal(of("CONFIRMATION_REQUIRED"), "denied");
  assert.equal(of("LOCAL_CALLERS_ONLY"), "denied");
  assert.equal(of("OPERATION_CANCELED"), "canceled");
  assert.equal(of("CHANNEL_LOST"), "failed");
  assert.equal(report({ ...OK, isError: true }).verdict, "tool_error");
  assert.equal(
    report({ ...OK, isError: true, _meta: { "firebreak.dev/error": { code: "__proto__" } } }).code,
    undefined,
  );
});

test("what a client says of itself, and what it asks for, is no reason to be refused", () => {
  const long = "x".repeat(100_000);
  const odd = {
    tool: "t",
    args: { vm: long, b: long },
    result: OK,
    durationMs: 1,
    client: { name: long, version: 7 as never },
  };
  const parsed = auditReportSchema.parse(toReport(odd));
  assert.deepEqual(parsed.arguments, { tooLong: JSON.stringify(odd.args).length });
  assert.equal(parsed.vm?.length, 256);
  assert.deepEqual(auditReportSchema.parse(toReport({ ...odd, args: undefined, client: undefined })).client, {});
});
