import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { FirecrackerApi } from "./api-client.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-fc-api-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
async function listen<T extends net.Server>(server: T, work: (socketPath: string) => Promise<void>): Promise<void> {
  const socketPath = path.join(folder, `s${count++}`);
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  try {
    await work(socketPath);
  } finally {
    server.close();
    if (server instanceof http.Server) server.closeAllConnections();
  }
}
const answering = (status: number, body: string) =>
  http.createServer((_, response) => response.writeHead(status).end(body));
const GET_ROOT = { method: "GET", path: "/" } as const;

test("a body is sent with its length, and what is answered comes back", async () => {
  const seen: unknown[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push([request.method, request.url, request.headers["content-length"], Buffer.concat(chunks).toString()]);
    if (request.method === "GET") response.writeHead(200).end('{"state":"Running"}');
    else response.writeHead(204).end();
  });
  await listen(server, async (socketPath) => {
    const api = new FirecrackerApi(socketPath);
    assert.deepEqual(await api.call(GET_ROOT), { state: "Running" });
    await api.callAll([{ method: "PUT", path: "/vsock", body: { guest_cid: 3 } }]);
    assert.deepEqual(seen, [
      ["GET", "/", undefined, ""],
      ["PUT", "/vsock", "15", '{"guest_cid":3}'],
    ]);
  });
});

test("a refusal has Firecracker's words, without what would move a terminal's cursor", async () => {
  const fault = JSON.stringify({ fault_message: "Drive \u001b[2Jis not there" });
  await listen(answering(400, fault), async (socketPath) => {
    await assert.rejects(
      new FirecrackerApi(socketPath).call(GET_ROOT),
      (error: Error & { code?: string; details?: object }) => {
        assert.equal(error.code, "VMM_PROTOCOL_ERROR");
        assert.match(error.message, /refused GET \/: Drive .*is not there/);
        assert.ok(!error.message.includes("\u001b"));
        assert.equal((error.details as { status: number }).status, 400);
        return true;
      },
    );
  });
});

test("the first request that is refused ends a list", async () => {
  let calls = 0;
  const server = http.createServer((_, response) => {
    calls++;
    response.writeHead(400).end('{"fault_message":"no"}');
  });
  await listen(server, async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).callAll([GET_ROOT, GET_ROOT]), { code: "VMM_PROTOCOL_ERROR" });
    assert.equal(calls, 1);
  });
});

test("answers that are none of the API's, endless or no HTTP at all are errors, not hangs", async () => {
  await listen(answering(500, "<html>"), async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), { code: "VMM_PROTOCOL_ERROR", message: /500/ });
  });
  await listen(answering(200, "not json"), async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), { code: "VMM_PROTOCOL_ERROR" });
  });
  await listen(answering(200, `"${"x".repeat(300_000)}"`), async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), {
      code: "VMM_PROTOCOL_ERROR",
      message: /does not end/,
    });
  });
  const garbage = net.createServer((socket) => socket.end("firebreak\r\n\r\n").on("error", () => {}));
  await listen(garbage, async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), {
      code: "VMM_PROTOCOL_ERROR",
      message: /no HTTP/,
    });
  });
});

test("a VMM that changes the protocol is one error, and keeps nobody waiting", async () => {
  const switching = net.createServer((socket) =>
    socket
      .on("error", () => {})
      .once("data", () =>
        socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
      ),
  );
  await listen(switching, async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), {
      code: "VMM_PROTOCOL_ERROR",
      message: /none of its API/,
    });
  });
});

test("a socket that nobody serves, a connection that ends and silence are told apart", async () => {
  await assert.rejects(new FirecrackerApi(path.join(folder, "none")).call(GET_ROOT), { code: "VM_CRASHED" });
  const hangingUp = net.createServer((socket) => socket.destroy());
  await listen(hangingUp, async (socketPath) => {
    await assert.rejects(new FirecrackerApi(socketPath).call(GET_ROOT), { code: "VM_CRASHED" });
  });
  const silent = http.createServer(() => {});
  await listen(silent, async (socketPath) => {
    const api = new FirecrackerApi(socketPath, { deadlineMs: 50 });
    await assert.rejects(api.call(GET_ROOT), { code: "DEADLINE_EXCEEDED" });
    await assert.rejects(api.call(GET_ROOT, { deadlineMs: 60_000, signal: AbortSignal.timeout(20) }), {
      code: "OPERATION_CANCELED",
    });
  });
});
