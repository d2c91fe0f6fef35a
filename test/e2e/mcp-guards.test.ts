import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type McpConnection, openMcpClient } from "../support/mcp-client.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let connection: McpConnection;
before(async () => {
  fixture = await startDaemonFixture();
  connection = await openMcpClient(fixture);
});
after(async () => {
  await connection.close();
  await fixture.close();
});

const call: McpConnection["call"] = (...parameters) => connection.call(...parameters);
const namesOfVms = async () => (await fixture.client.vms.list()).map(({ name }) => name);
const previewOf = async (name: string, args: Record<string, unknown>) => {
  const { data, text } = await call(name, { ...args, preview: true });
  assert.ok(data.preview, text);
  return data.preview as { steps: string[]; confirm_token: string };
};

async function restartDaemon(): Promise<void> {
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  await waitFor(async () => (await fixture.cli(["daemon", "start"])).exitCode === 0);
}

describe("a confirm token", () => {
  test("holds over the daemon's death, in another server, once", async () => {
    await call("vm_create", { name: "doomed" });
    assert.equal((await call("vm_delete", { vm: "doomed" })).data.code, "CONFIRMATION_REQUIRED");
    const { confirm_token, steps } = await previewOf("vm_delete", { vm: "doomed" });
    assert.ok(
      steps.some((step) => step.startsWith("end_vmm")) && steps.some((step) => step.startsWith("remove_files")),
    );
    assert.deepEqual(await namesOfVms(), ["doomed"]);
    await restartDaemon();
    const other = await openMcpClient(fixture);
    const args = { vm: "doomed", confirm_token };
    assert.equal((await other.call("vm_delete", args)).data.deleted, true);
    await other.close();
    await call("vm_create", { name: "doomed" });
    assert.equal((await call("vm_delete", args)).data.code, "CONFIRMATION_USED");
    assert.deepEqual(await namesOfVms(), ["doomed"]);
  });

  test("is of no use for other arguments, or once the VM is not what it was", async () => {
    await call("vm_create", { name: "kept" });
    const { confirm_token } = await previewOf("vm_delete", { vm: "doomed" });
    assert.equal((await call("vm_delete", { vm: "kept", confirm_token })).data.code, "CONFIRMATION_MISMATCH");
    await call("vm_pause", { vm: "doomed" });
    assert.equal((await call("vm_delete", { vm: "doomed", confirm_token })).data.code, "CONFIRMATION_STALE");
    assert.equal(
      (await call("vm_delete", { vm: "doomed", confirm_token: "guessed" })).data.code,
      "CONFIRMATION_UNKNOWN",
    );
    assert.deepEqual((await namesOfVms()).sort(), ["doomed", "kept"]);
  });

  test("is not written down anywhere", async () => {
    const { confirm_token } = await previewOf("vm_delete", { vm: "kept" });
    const files = [fixture.paths.database, `${fixture.paths.database}-wal`, fixture.paths.daemonLog];
    for (const file of files) assert.equal((await readFile(file)).includes(confirm_token), false, file);
  });
});

describe("an idempotency key", () => {
  test("gives the same answer after the daemon's death, and acts once", async () => {
    const args = { name: "once", idempotency_key: "make-once" };
    const first = await call("vm_create", args);
    assert.equal(first.isError, false, first.text);
    await restartDaemon();
    const again = await call("vm_create", args);
    assert.deepEqual(again.data, first.data);
    assert.equal((await namesOfVms()).filter((name) => name === "once").length, 1);
    const run = { vm: "once", command: "echo x >> /root/runs; wc -l < /root/runs", idempotency_key: "run-once" };
    assert.equal((await call("run_command", run)).data.stdout, "1\n");
    assert.equal((await call("run_command", run)).data.stdout, "1\n");
    const other = await call("run_command", { ...run, command: "echo y" });
    assert.equal(other.data.code, "IDEMPOTENCY_MISMATCH");
  });

  test("of a server that dies in the middle of a call: nobody knows, and nobody does it again", async () => {
    const child = spawn(fixture.program, ["serve", "mcp"], { env: fixture.env, stdio: ["pipe", "pipe", "inherit"] });
    child.stdout.resume();
    const send = (id: number, method: string, params: unknown) =>
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    const run = { vm: "once", command: "echo x >> /root/begun; sleep 7781", idempotency_key: "cut-off" };
    send(1, "initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "x", version: "0" } });
    send(2, "tools/call", { name: "run_command", arguments: run });
    const count = async () =>
      (await call("run_command", { vm: "once", command: "cat /root/begun | wc -l" })).data.stdout;
    await waitFor(async () => (await count()) === "1\n");
    child.kill("SIGKILL");
    await once(child, "exit");
    const again = await call("run_command", run);
    assert.equal(again.data.code, "IDEMPOTENCY_OUTCOME_UNKNOWN", again.text);
    assert.equal(await count(), "1\n");
  });

  test("of an HTTP request does the same", async () => {
    const post = (path: string, key: string, body: unknown, type = "application/json") =>
      new Promise<{ status: number | undefined; replayed: unknown; text: string }>((resolve, reject) => {
        const headers = { "content-type": type, "idempotency-key": key };
        const request = http.request(
          { socketPath: fixture.paths.socket, method: "POST", path, headers },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (part: string) => {
              text += part;
            });
            const replayed = response.headers["idempotency-replayed"];
            response.on("end", () => resolve({ status: response.statusCode, replayed, text }));
          },
        );
        request.once("error", reject).end(JSON.stringify(body));
      });
    const [first, second] = await Promise.all([
      post("/v1/vms", "h1", { name: "http" }),
      post("/v1/vms", "h1", { name: "http" }),
    ]);
    const resultOf = (text: string) =>
      JSON.parse(text.trimEnd().split("\n").at(-1) ?? "") as { result: { id: string } };
    assert.equal(resultOf(first.text).result.id, resultOf(second.text).result.id);
    assert.deepEqual([first.replayed, second.replayed].filter((value) => value === "true").length, 1);
    const other = await post("/v1/vms", "h1", { name: "other" });
    assert.deepEqual([other.status, JSON.parse(other.text).error.code], [400, "IDEMPOTENCY_MISMATCH"]);
    const paused = await post("/v1/vms/http/pause", "h2", {});
    await fixture.client.vms.resume("http");
    const replayed = await post("/v1/vms/http/pause", "h2", {});
    assert.deepEqual([replayed.status, replayed.replayed, replayed.text], [200, "true", paused.text]);
    assert.equal((await fixture.client.vms.get("http")).state, "running");
    // What was refused has done nothing: the key is free.
    assert.equal((await post("/v1/vms/nope/pause", "h3", {})).status, 404);
    assert.equal((await post("/v1/vms/http/pause", "h3", {})).status, 200);
    assert.equal((await post("/v1/vms", "a b", {})).status, 400);
    assert.equal((await post("/v1/images/import?name=x", "h4", {}, "application/octet-stream")).status, 400);
  });

  test("is nobody else's: with another API key it stands for another call", async () => {
    const { url } = await fixture.client.listen({ address: "127.0.0.1:0" });
    assert.ok(url);
    const request = { tool: "x", argumentsDigest: "0".repeat(64), stateDigest: "0".repeat(64) };
    const tokenFor = async (key: string) => {
      const response = await fetch(`${url}/v1/confirmations`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "idempotency-key": "same" },
        body: JSON.stringify(request),
      });
      assert.equal(response.status, 200);
      return ((await response.json()) as { token: string }).token;
    };
    const [a, b] = await Promise.all(["a", "b"].map(async (name) => (await fixture.client.keys.create({ name })).key));
    assert.ok(a && b);
    const first = await tokenFor(a);
    assert.equal(await tokenFor(a), first);
    assert.notEqual(await tokenFor(b), first);
  });
});
