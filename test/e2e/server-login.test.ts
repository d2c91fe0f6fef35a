import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import type { AuditCall, AuditPage } from "../../src/contract/audit.ts";
import type { Server } from "../../src/contract/server.ts";
import { type AuthorizationServer, serveAuthorization } from "../support/authorization-server.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { callText, openServers } from "../support/mcp-servers/gateway-client.ts";
import { serveModernUpstream, type Upstream } from "../support/upstreams.ts";
import { waitFor } from "../support/wait-for.ts";

let authority: AuthorizationServer;
let upstream: Upstream;
let daemon: DaemonFixture;

before(async () => {
  authority = await serveAuthorization();
  upstream = await serveModernUpstream(authority.guard);
  daemon = await startDaemonFixture();
  writeFileSync(
    path.join(daemon.folder, "firebreak.toml"),
    `[servers.far]\nurl = "${upstream.url}"\ntools = { deny = ["slow"] }\n`,
  );
});
after(async () => {
  await daemon?.close();
  await upstream?.close();
  await authority?.close();
});

/** Runs a login without a browser; `go` has what it prints of where to go, and its standard input. */
async function logIn(go: (url: string, type: (line: string) => void) => Promise<void>) {
  const child = spawn(daemon.program, ["server", "login", "far", "--no-browser", "--json"], { env: daemon.env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  const lines = createInterface({ input: child.stderr });
  lines.on("line", (line) => {
    stderr += `${line}\n`;
    const url = /^ {2}(http\S+)$/.exec(line)?.[1];
    if (url !== undefined) void go(url, (text) => child.stdin.write(`${text}\n`)).catch((error) => child.kill(error));
  });
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { exitCode, stdout, stderr };
}

/** A request with a Host header of its choice, which fetch does not let anybody have. */
function get(url: URL, host = url.host): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
      .once("error", reject);
  });
}

test("a file with a server that wants a login is up but for that, and says what to do", async () => {
  const up = await daemon.cli(["up", "--config", path.join(daemon.folder, "firebreak.toml")]);
  assert.equal(up.exitCode, 7);
  assert.match(up.stdout, /far +needs_login/);
  assert.match(up.stderr, /SERVER_LOGIN_REQUIRED[\s\S]*firebreak server login far/);
  assert.match((await daemon.ok("status")).stdout, /needs_login[\s\S]*firebreak server login far/);
});

test("the browser's return is taken from its own page, with its own state, and nothing else is", async () => {
  const { exitCode, stdout, stderr } = await logIn(async (url) => {
    const back = await authority.browse(url);
    const stray = (change: (url: URL) => void) => {
      const other = new URL(back);
      change(other);
      return get(other);
    };
    assert.equal(await stray((other) => other.searchParams.set("state", "guessed")), 404);
    assert.equal(await stray((other) => (other.pathname = "/")), 404);
    assert.equal(await get(back, "evil.example"), 404);
    assert.equal(await get(back), 200);
  });
  assert.equal(exitCode, 0, stderr);
  const server = JSON.parse(stdout) as Server;
  assert.deepEqual([server.name, server.state, server.tools.length], ["far", "running", 3]);
});

test("its calls are filtered and recorded as those of servers in VMs are", async () => {
  const client = await openServers(daemon)("far", {});
  try {
    assert.equal(await callText(client, "echo", { text: "far away" }), "far away");
    await assert.rejects(callText(client, "slow"), /slow/);
  } finally {
    await client.close();
  }
  assert.equal((await daemon.ok("server", "call", "far", "echo", "text=typed")).stdout, "typed\n");
  const recorded = async () =>
    (await daemon.json<AuditPage>("audit", "list")).entries.filter(
      (entry): entry is AuditPage["entries"][number] & AuditCall => "server" in entry && entry.server === "far",
    );
  await waitFor(async () => (await recorded()).length >= 3);
  assert.deepEqual(
    (await recorded()).map(({ client: { principal }, tool, verdict, code }) => [principal, tool, verdict, code]),
    [
      ["local", "echo", "ok", undefined],
      ["local", "slow", "denied", "TOOL_NOT_OFFERED"],
      ["local", "echo", "ok", undefined],
    ],
  );
});

test("neither the daemon's files nor its answers have a token in them, and logging out forgets it", async () => {
  const tokens = upstream.seen
    .flatMap(({ authorization = "" }) => authorization.replace(/^Bearer /, ""))
    .filter(Boolean);
  assert.ok(tokens.length > 0);
  const files = readdirSync(daemon.paths.home, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  assert.ok(files.length > 3);
  for (const { parentPath, name } of files) {
    const content = readFileSync(path.join(parentPath, name));
    for (const token of tokens) assert.ok(!content.includes(token), name);
  }
  await daemon.ok("server", "logout", "far");
  assert.equal((await daemon.json<Server>("server", "get", "far")).state, "needs_login");
});

test("where the browser is on another machine, the address that it ends at is pasted", async () => {
  const { exitCode, stderr } = await logIn(async (url, type) => {
    const back = await authority.browse(url);
    type("https://example.com/?state=guessed");
    type(back.href);
  });
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /not the address/);
});

test("a user who says no is told of by the command", async () => {
  const { exitCode, stderr } = await logIn(async (url) => void (await get(await authority.browse(url, false))));
  assert.equal(exitCode, 7);
  assert.match(stderr, /SERVER_LOGIN_FAILED/);
});
