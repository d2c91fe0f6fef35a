import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { trustAsHost } from "../support/host-trust.ts";
import { ERAS } from "../support/mcp-http.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";

/** Servers that people have, from npm, each installed and run in a VM of its own from one file. */

/** For all five, one after the other; on a busy host under emulation each takes ten minutes. */
const INSTALL_MS = 3_300_000;
let fixture: DaemonFixture;
let postgres: Postgres;
let open: OpenClient;
let documents: string;
let states: Record<string, string>;

before(async () => {
  postgres = await startPostgres("db.internal");
  fixture = await startDaemonFixture();
  trustAsHost(fixture);
  documents = path.join(fixture.folder, "documents");
  mkdirSync(documents);
  writeFileSync(path.join(documents, "notes.txt"), "remember the milk\n");
  const url = `postgresql://${postgres.user}:${encodeURIComponent(postgres.password)}@db.internal:${postgres.port}/postgres`;
  const set = await fixture.cli(["secret", "set", "DATABASE_URL", "--expose", "env"], { input: url });
  assert.equal(set.exitCode, 0, set.stderr);
  const file = path.join(fixture.folder, "firebreak.toml");
  writeFileSync(
    file,
    `
[servers.filesystem]
command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", ${JSON.stringify(documents)}]
vm_profile = "filesystem-readonly"
allowed_paths = [${JSON.stringify(documents)}]

[servers.everything]
command = ["npx", "-y", "@modelcontextprotocol/server-everything"]

[servers.memory]
command = ["npx", "-y", "@modelcontextprotocol/server-memory"]

[servers.thinking]
command = ["npx", "-y", "@modelcontextprotocol/server-sequential-thinking"]

[servers.database]
command = ["npx", "-y", "@modelcontextprotocol/server-postgres", "\${secret:DATABASE_URL}"]
network = "allowlist"
allowed_hosts = ["db.internal:${postgres.port}"]
private_hosts = true
host_addresses = { "db.internal" = "127.0.0.1" }
secrets = [{ name = "DATABASE_URL", expose = "env" }]
`,
  );
  const up = await fixture.cli(["up", "--config", file], { timeoutMs: INSTALL_MS });
  process.stdout.write(up.stdout + up.stderr);
  states = Object.fromEntries((await fixture.client.servers.list()).map(({ name, state }) => [name, state]));
  open = await serveGateway(fixture);
});
after(async () => {
  await fixture?.close();
  await postgres?.close();
});

const calls: [server: string, tool: string, args: (era: string) => Record<string, unknown>, answer: RegExp][] = [
  ["filesystem", "read_text_file", () => ({ path: path.join(documents, "notes.txt") }), /remember the milk/],
  ["everything", "echo", () => ({ message: "hello" }), /hello/],
  [
    "memory",
    "create_entities",
    // What it knows already it does not answer with, and it goes on from one client to the next.
    (era) => ({ entities: [{ name: `Ada of ${era}`, entityType: "person", observations: ["counts"] }] }),
    /Ada of/,
  ],
  [
    "thinking",
    "sequentialthinking",
    () => ({ thought: "one", nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 }),
    /thoughtNumber/,
  ],
  ["database", "query", () => ({ sql: "SELECT 6*7 AS answer" }), /42/],
];
for (const [server, tool, args, answer] of calls)
  test(`${server} is installed, looked at and called`, async () => {
    assert.ok(["running", "stopped"].includes(states[server] ?? ""), `${server} is ${states[server]}`);
    for (const { era, options } of ERAS) {
      const client = await open(server, options);
      assert.match(await callText(client, tool, args(era)), answer);
      await client.close();
    }
  });

test("a server that may only read writes nothing on this host", async () => {
  const client = await open("filesystem", ERAS[0]?.options ?? {});
  const file = path.join(documents, "notes.txt");
  const answer = await client.callTool({ name: "write_file", arguments: { path: file, content: "evil" } });
  assert.equal(answer.isError, true);
  assert.equal(readFileSync(file, "utf8"), "remember the milk\n");
  await client.close();
});
