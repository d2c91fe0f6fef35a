import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { AuditPage, AuditVerification } from "../../src/contract/audit.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let firebreak: DaemonFixture;
before(async () => {
  firebreak = await startDaemonFixture();
});
after(() => firebreak.close());

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "some-client", version: "3" },
};

async function callTools(...calls: [name: string, args: object][]) {
  const lines = calls.map(([name, args], id) =>
    JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { _meta: META, name, arguments: args } }),
  );
  const result = await firebreak.cli(["serve", "mcp", "--toolsets", "all"], { input: `${lines.join("\n")}\n` });
  assert.equal(result.stdout.trim().split("\n").length, calls.length, result.stderr);
  return result.stdout;
}

test("calls of firebreak's tools are recorded, listed, exported and verified", async () => {
  await callTools(["vm_list", {}]);
  await callTools(["vm_get", { vm: "none" }]);
  const { entries } = await firebreak.json<AuditPage>("audit", "list");
  const calls = entries.flatMap((entry) => ("note" in entry ? [] : [entry]));
  assert.deepEqual(
    calls.map(({ client, server, tool, verdict, code }) => [
      client.principal,
      client.name,
      server,
      tool,
      verdict,
      code,
    ]),
    [
      ["local", "some-client", "firebreak", "vm_list", "ok", undefined],
      ["local", "some-client", "firebreak", "vm_get", "tool_error", "VM_NOT_FOUND"],
    ],
  );
  assert.ok(calls.every((call) => call.arguments === undefined));
  const printed = (await firebreak.ok("audit", "list", "--verdict", "tool_error")).stdout;
  assert.match(printed, /^\S+ {2}local\/some-client {2}firebreak {2}vm_get {2}tool_error {2}VM_NOT_FOUND; vm none; /);
  assert.match(
    (await firebreak.ok("audit", "export", "--format", "csv")).stdout,
    /^seq,at.*\r\n1,.*vm_list.*\r\n2,.*vm_get.*\r\n$/,
  );
  assert.match(await callTools(["audit_list", { verdict: "tool_error" }]), /"what":"vm_get"/);
  assert.equal((await firebreak.json<AuditVerification>("audit", "verify")).ok, true);
  assert.equal((await firebreak.cli(["audit", "list", "--verdict", "fine"])).exitCode, 2);
});

test("arguments are recorded where the configuration asks for them, without the secrets of the vault", async () => {
  await writeFile(path.join(firebreak.paths.home, "firebreak.toml"), "[audit]\narguments = true\n");
  const set = await firebreak.cli(["secret", "set", "TOKEN", "--host", "example.org"], { input: "very-secret-value" });
  assert.equal(set.exitCode, 0, set.stderr);
  // The configuration is read once a second.
  const deadline = Date.now() + 20_000;
  let last: unknown;
  while (last === undefined && Date.now() < deadline) {
    await callTools(["vm_get", { vm: "none-very-secret-value" }]);
    const [entry] = (await firebreak.json<AuditPage>("audit", "list", "--limit", "1")).entries;
    last = entry !== undefined && !("note" in entry) ? entry.arguments : undefined;
  }
  assert.deepEqual(last, { vm: "none-[secret TOKEN]" });
});

test("the log goes on with the next daemon, and what is changed in it is found", async () => {
  await firebreak.ok("daemon", "stop");
  const folder = path.join(firebreak.paths.home, "audit");
  const [name = ""] = await readdir(folder);
  const lines = (await readFile(path.join(folder, name), "utf8")).trimEnd().split("\n");
  await callTools(["vm_list", {}]);
  const whole = await firebreak.json<AuditVerification>("audit", "verify");
  assert.deepEqual(whole, { ok: true, entries: lines.length + 1 });
  await firebreak.ok("daemon", "stop");
  // Somebody takes the last entries away.
  await writeFile(path.join(folder, name), `${lines.slice(0, 2).join("\n")}\n`);
  const result = await firebreak.cli(["audit", "verify"]);
  assert.equal(result.exitCode, 1);
  assert.match(result.stdout, /^2 entries are as they were written; then \d+\.jsonl:1: entries 3 to \d+ are missing/);
});
