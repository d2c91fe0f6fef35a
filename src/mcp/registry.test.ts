import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createFakeVmClient } from "../../test/support/fake-vm-client.ts";
import { caller } from "../../test/support/tool-caller.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { TOOLS, ToolRegistry } from "./registry.ts";
import { FAILURE_KEY } from "./result.ts";

/** Keywords that the models of all clients take. */
const PLAIN_KEYWORDS = new Set(
  "$schema type properties required additionalProperties description default enum items minimum maximum minLength maxLength minItems maxItems pattern".split(
    " ",
  ),
);

const ANSWER_IMAGES = new Set(["file_read", "artifact_get", "get_task_file"]);

describe("the tools", () => {
  const registry = new ToolRegistry(TOOLS);

  test("have all that a client needs to know of them", () => {
    const names = registry.list().map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const tool of registry.list()) {
      assert.match(tool.name, /^[a-z_]{1,40}$/);
      assert.ok(tool.title && tool.title.length <= 60, tool.name);
      assert.ok(tool.description && tool.description.length >= 40, tool.name);
      for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const) {
        assert.equal(typeof tool.annotations?.[hint], "boolean", `${tool.name}.${hint}`);
      }
      assert.ok(!(tool.annotations?.readOnlyHint && tool.annotations.destructiveHint), tool.name);
    }
  });

  test("have strict, plain schemas whose arguments are all described", () => {
    for (const tool of registry.list()) {
      // An image's result has no structured content, which an output schema would ask for.
      assert.equal(tool.outputSchema === undefined, ANSWER_IMAGES.has(tool.name), tool.name);
      const sides = { input: tool.inputSchema, ...(tool.outputSchema && { output: tool.outputSchema }) };
      for (const [side, schema] of Object.entries(sides)) {
        assert.equal(schema?.type, "object", `${tool.name} ${side}`);
        assert.equal(schema?.additionalProperties, false, `${tool.name} ${side}`);
        checkKeywords(schema, `${tool.name} ${side}`);
      }
      for (const [name, property] of Object.entries(tool.inputSchema.properties ?? {})) {
        assert.match(name, /^[a-z][a-z0-9_]*$/);
        assert.ok((property as { description?: string }).description, `${tool.name}.${name}`);
      }
    }
  });

  test("of the default toolsets are told in less than 48 KB: each client's model reads them all", () => {
    assert.ok(JSON.stringify(new ToolRegistry().list()).length < 48_000);
  });
});

function checkKeywords(schema: unknown, where: string): void {
  if (typeof schema !== "object" || schema === null) return;
  for (const [key, value] of Object.entries(schema)) {
    assert.ok(PLAIN_KEYWORDS.has(key), `${where}: '${key}'`);
    if (key === "properties") for (const [name, part] of Object.entries(value)) checkKeywords(part, `${where}.${name}`);
    if (key === "items" || key === "additionalProperties") checkKeywords(value, `${where}.${key}`);
  }
}

describe("a call", () => {
  test("with wrong arguments is refused before the daemon is reached", async () => {
    const registry = new ToolRegistry(TOOLS);
    for (const tool of TOOLS) {
      const connect = () => assert.fail("the daemon was reached");
      const result = await registry.call(
        tool,
        { nonsense: 1 },
        { connect, signal: new AbortController().signal, onProgress: () => {} },
      );
      assert.equal(result.isError, true);
      assert.equal((result._meta?.[FAILURE_KEY] as { code: string } | undefined)?.code, "INVALID_ARGUMENT");
      assert.match(JSON.stringify(result.content), /unknown argument 'nonsense'/);
    }
  });

  test("where no daemon can be reached is a failure that says so", async () => {
    const registry = new ToolRegistry(TOOLS);
    const connect = () => Promise.reject(new FirebreakError("DAEMON_START_FAILED", "the daemon did not start"));
    const tool = registry.get("vm_list");
    assert.ok(tool);
    const result = await registry.call(
      tool,
      {},
      { connect, signal: new AbortController().signal, onProgress: () => {} },
    );
    assert.equal((result._meta?.[FAILURE_KEY] as { code: string } | undefined)?.code, "DAEMON_START_FAILED");
  });

  test("of an unknown VM names those that exist", async () => {
    for (const name of ["run_command", "file_read", "file_write", "file_list", "file_delete", "vm_get", "vm_delete"]) {
      const needs = { command: "true", path: "/x", content: "", confirm_token: "x" };
      const tool = new ToolRegistry(TOOLS).get(name);
      const keys = Object.keys(toProperties(tool?.inputSchema)).filter((key) => Object.hasOwn(needs, key));
      const args = Object.fromEntries(keys.map((key) => [key, needs[key as keyof typeof needs]]));
      const answer = await caller(createFakeVmClient(["web", "db"]))(name, { vm: "nope", ...args });
      assert.equal(answer.data.code, "VM_NOT_FOUND", name);
      assert.equal(answer.data.hint, "Existing VMs: web, db.", name);
    }
  });

  test("by id names the VM by its name", async () => {
    const call = caller(createFakeVmClient());
    assert.equal((await call("run_command", { vm: "id-web", command: "true" })).data.vm, "web");
    assert.match((await call("file_write", { vm: "id-web", path: "/a", content: "" })).text, /^\[vm web · /);
  });
});

function toProperties(schema: unknown): Record<string, unknown> {
  return (schema as { shape?: Record<string, unknown> } | undefined)?.shape ?? {};
}
