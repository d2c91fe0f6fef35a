import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { type ConnectProxy, openConnectProxy } from "../support/connect-proxy.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { shellOf } from "../support/mcp-servers/shell-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { type NpmRegistry, openNpmRegistry } from "../support/npm-registry.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";
import { writeFiles } from "../support/workspace-service.ts";

/** The file of README.md with its three servers: from `firebreak up` to `firebreak down`. Their packages are from a registry of the test's own. */

const TOKEN = "ghp_real-Value-4711-abcdefghij";
const DATABASE_URL = "postgresql://ada:Pass-4713-word@db.internal:5432/books";
const INSTALL_MS = 900_000;

let registry: NpmRegistry;
let proxy: ConnectProxy;
let github: Awaited<ReturnType<typeof openTlsUpstream>>;
let fixture: DaemonFixture;
let open: OpenClient;
let file: string;
let authority: string;
let said: string;
/** What the database got. */
let received = "";
const database = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    received += String(bytes);
    socket.end("the database\n");
  });
});

before(async () => {
  registry = await openNpmRegistry("http://registry.test/");
  for (const name of ["filesystem", "github", "postgres"])
    registry.publish({
      name: `@modelcontextprotocol/server-${name}`,
      version: "1.2.3",
      bin: { [`mcp-server-${name}`]: "server.js" },
      files: { "server.js": `#!/usr/bin/env node\n${SHELL_PROGRAM}\n` },
    });
  github = await openTlsUpstream("api.github.com");
  await new Promise<void>((resolve) => database.listen(0, "127.0.0.1", resolve));
  proxy = await openConnectProxy({
    "registry.test:80": registry.port,
    "api.github.com:443": github.port,
    "db.internal:5432": (database.address() as AddressInfo).port,
  });
  authority = mkdtempSync(path.join(os.tmpdir(), "fb-authority-"));
  writeFiles(authority, { "ca.pem": await hostAuthority.certificate() });
  fixture = await startDaemonFixture({
    env: {
      ...proxy.env,
      npm_config_registry: "http://registry.test/",
      NODE_EXTRA_CA_CERTS: path.join(authority, "ca.pem"),
    },
  });
  writeFiles(fixture.folder, {
    "documents/notes.txt": "remember the milk\n",
    "firebreak.toml": `
[servers.filesystem]
vm_profile = "filesystem-readonly"
allowed_paths = ["./documents"]

[servers.github]
vm_profile = "network-only"
allowed_hosts = ["api.github.com"]
secrets = ["GITHUB_TOKEN"]

[servers.database]
vm_profile = "database-client"
allowed_hosts = ["db.internal:5432"]
secrets = ["DATABASE_URL"]
`,
  });
  file = path.join(fixture.folder, "firebreak.toml");
  for (const [args, input] of [
    [["GITHUB_TOKEN", "--host", "api.github.com"], TOKEN],
    [["DATABASE_URL", "--expose", "env"], DATABASE_URL],
  ] as const) {
    const { exitCode, stderr } = await fixture.cli(["secret", "set", ...args], { input });
    assert.equal(exitCode, 0, stderr);
  }
  const up = await fixture.cli(["up", "--config", file], { timeoutMs: INSTALL_MS });
  assert.equal(up.exitCode, 0, up.stderr);
  said = up.stdout;
  open = await serveGateway(fixture);
});
after(async () => {
  await fixture?.close();
  proxy?.close();
  registry?.close();
  github?.close();
  database.close();
  rmSync(authority, { recursive: true, force: true });
});

async function sh(server: string, command: string): Promise<string> {
  const client = await open(server, ERAS[0]?.options ?? {});
  try {
    return await shellOf(client)(command);
  } finally {
    await client.close();
  }
}

/** A client that starts firebreak with these words. */
async function openStdio(args: string[]): Promise<Client> {
  const env = Object.fromEntries(
    Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const client = new Client({ name: "e2e", version: "0" });
  await client.connect(new StdioClientTransport({ command: fixture.program, args, env }), { timeout: 180_000 });
  return client;
}

/** Rows of a printed table, by their first word. */
const rowsOf = (text: string) =>
  Object.fromEntries(
    text
      .split("\n")
      .map((line) => line.split(/ {2,}/))
      .map(([name = "", ...cells]) => [name, cells]),
  );

test("up prints what there is, what was found, and how a client is told of it", () => {
  assert.ok(said.startsWith(`MCP servers of ${file}:\nNAME `), said);
  const rows = rowsOf(said);
  assert.deepEqual(rows.NAME, [
    "STATE",
    "PACKAGE",
    "PROTOCOL",
    "TOOLS",
    "SCAN",
    "WAITING",
    "NETWORK",
    "VMS",
    "PREPARED",
  ]);
  const isReady =
    /^stopped @modelcontextprotocol\/server-\w+ 1\.2\.3 \d{4}-\d\d-\d\d 1 ok 0 (?:none|allowlist) 0 .* ago$/;
  for (const name of ["filesystem", "github", "database"]) assert.match(String(rows[name]?.join(" ")), isReady, said);
  assert.match(said, /\nRegister them with a client: firebreak gen-config --client claude-code --servers --write /);
  assert.match(said, /\nA client that starts its servers itself runs: firebreak serve mcp --servers/);
});

test("status says which of them run, and a client's file names what was printed", async () => {
  assert.equal(
    await sh("filesystem", `cat ${path.join(fixture.folder, "documents", "notes.txt")}`),
    "remember the milk\n",
  );
  const { stdout } = await fixture.ok("status");
  assert.match(stdout, /^vms +1 of \d+ run$/m);
  assert.match(stdout, /^servers +3: /m);
  assert.match(stdout, /1 running/);
  assert.equal(rowsOf(stdout).filesystem?.[0], "running");
  // As a client starts what 'up' has it register, it has their tools.
  const entry = await fixture.ok("gen-config", "--client", "mcp-json", "--servers");
  const { mcpServers } = JSON.parse(entry.stdout) as { mcpServers: { firebreak: { args: string[] } } };
  const client = await openStdio(mcpServers.firebreak.args);
  const names = (await client.listTools()).tools.map(({ name }) => name);
  await client.close();
  assert.deepEqual([...new Set(names.map((name) => name.split("__")[0]))].sort(), ["database", "filesystem", "github"]);
});

test("each of the three does what it is there for, with what it may have and nothing else", async () => {
  assert.match(
    await sh("filesystem", `echo x > ${path.join(fixture.folder, "documents", "notes.txt")} || echo refused`),
    /refused/,
  );
  const got = await sh(
    "github",
    `env | grep -c GITHUB; curl -sS -m 60 -H "Authorization: Bearer $GITHUB_PERSONAL_ACCESS_TOKEN" https://api.github.com/user`,
  );
  assert.equal(github.received.at(-1)?.headers.authorization, `Bearer ${TOKEN}`);
  assert.ok(!got.includes(TOKEN), got);
  const argument = await sh("database", "tr '\\0' '\\n' < /proc/$PPID/cmdline | tail -1");
  assert.equal(argument.trim(), DATABASE_URL);
  const connect = `node -e 'require("node:net").connect(5432, "db.internal").end(process.argv[1]).on("data", (b) => process.stdout.write(b))' "$DATABASE_URL"`;
  assert.equal(await sh("database", connect), "the database\n");
  assert.equal(received, DATABASE_URL);
  for (const [server, place] of [
    ["filesystem", "https://api.github.com/"],
    ["database", "https://api.github.com/"],
    ["github", "http://db.internal:5432/"],
  ] as const)
    assert.match(await sh(server, `curl -ksS -m 20 ${place} 2>&1 || echo refused`), /refused\n$/, `${server} ${place}`);
  assert.deepEqual([...new Set(proxy.asked)].sort(), ["api.github.com:443", "db.internal:5432", "registry.test:80"]);
});

test("no value is in what was saved of the servers, nor anywhere else on this host", async () => {
  const filesWith = (text: string) => {
    try {
      const found = execFileSync("grep", ["-rlaF", "--devices=skip", text, fixture.folder], { encoding: "utf8" });
      return found.split("\n").filter((line) => line !== "");
    } catch {
      return [];
    }
  };
  const { placeholder } = await fixture.json<{ placeholder: string }>("secret", "get", "GITHUB_TOKEN");
  assert.ok(readdirSync(fixture.paths.snapshots).length >= 3);
  // The search finds what was saved of the server that has a placeholder.
  assert.ok(filesWith(placeholder).some((found) => found.startsWith(fixture.paths.snapshots)));
  for (const value of [TOKEN, DATABASE_URL, "Pass-4713-word"]) assert.deepEqual(filesWith(value), [], value);
  const { servers } = await fixture.json<{ servers: { name: string }[] }>("server", "list");
  assert.ok(!JSON.stringify(servers).includes("Pass-4713-word"));
});

test("down ends their VMs, and the next call brings one back", async () => {
  assert.equal((await fixture.ok("down", "--config", file)).stdout, "database\nfilesystem\ngithub\n");
  assert.equal((await fixture.client.vms.list()).length, 0);
  assert.match((await fixture.ok("status")).stdout, /^servers +3: 3 stopped$/m);
  assert.equal(await sh("filesystem", "echo here"), "here\n");
  // A second time nothing is installed.
  const requested = registry.requested.length;
  const again = await fixture.ok("up", "--config", file);
  assert.equal(rowsOf(again.stdout).filesystem?.[0], "running");
  assert.equal(registry.requested.length, requested);
  assert.equal((await fixture.ok("down", "--config", file, "--delete")).stdout, "database\nfilesystem\ngithub\n");
  assert.match((await fixture.ok("status")).stdout, /servers +none/);
});
