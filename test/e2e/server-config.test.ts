import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Secret } from "../../src/contract/secret.ts";
import { type DaemonFixture, runProgram, startDaemonFixture } from "../support/daemon-fixture.ts";

const TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const PASSWORD = "pw-4711-abc";
let fixture: DaemonFixture;
let client: string;
let output: string;

before(async () => {
  fixture = await startDaemonFixture();
  client = path.join(fixture.folder, "mcp.json");
  output = path.join(fixture.folder, "firebreak.toml");
  const servers = {
    GitHub_MCP: {
      command: "npx",
      args: ["-y", "@modelcontextprotocol/server-github"],
      env: {
        GITHUB_TOKEN: TOKEN,
        AWS_ACCESS_KEY_ID: "AKIAABCDEFGHIJKLMNOP",
        AWS_SECRET_ACCESS_KEY: "abcdefghijklmnop",
      },
    },
    db: { command: "npx", args: ["-y", "some-db", `postgresql://u:${PASSWORD}@db.example.com/x`] },
  };
  writeFileSync(client, JSON.stringify({ mcpServers: servers }, null, 1));
});
after(() => fixture.close());

const secrets = async () => (await fixture.json<{ secrets: Secret[] }>("secret", "list")).secrets;

test("a dry run prints what would be written, and changes nothing", async () => {
  const { stdout, stderr } = await fixture.ok("server", "import", client, "--output", output, "--dry-run");
  assert.match(stdout, /^\[servers\.github-mcp\]$/m);
  assert.match(stderr, /would go into the vault: GITHUB_TOKEN/);
  assert.ok(!`${stdout}${stderr}`.includes(TOKEN) && !`${stdout}${stderr}`.includes(PASSWORD));
  assert.equal(existsSync(output), false);
  assert.deepEqual(await secrets(), []);
});

test("a client's file becomes firebreak.toml, its tokens secrets of the vault, and no value is printed", async () => {
  const { stdout, stderr } = await fixture.ok("server", "import", client, "--output", output);
  const toml = readFileSync(output, "utf8");
  for (const value of [TOKEN, PASSWORD, "abcdefghijklmnop", "AKIAABCDEFGHIJKLMNOP"])
    assert.ok(!`${stdout}${stderr}${toml}`.includes(value), value);
  const found = new Map((await secrets()).map((secret) => [secret.name, secret]));
  assert.deepEqual(found.get("GITHUB_TOKEN")?.hosts, ["api.github.com"]);
  assert.equal(found.get("DB_URL")?.expose, "env");
  assert.equal(found.get("AWS_SECRET_ACCESS_KEY")?.aws?.accessKeyId, "AWS_ACCESS_KEY_ID");
  assert.match(stderr, /in the vault: GITHUB_TOKEN, for api\.github\.com/);
  const checked = await fixture.ok("server", "check", output);
  assert.match(checked.stdout, /secrets +GITHUB_TOKEN, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY$/m);
});

test("a file that is there stays, and so does a secret, unless it is said otherwise", async () => {
  const again = await fixture.cli(["server", "import", client, "--output", output, "--replace-secrets"]);
  assert.deepEqual([again.exitCode, /is there already/.test(again.stderr)], [2, true]);
  assert.ok((await secrets()).every(({ rotatedAt }) => rotatedAt === undefined));
  writeFileSync(output, "mine");
  const forced = await fixture.ok("server", "import", client, "--output", output, "--force");
  assert.match(forced.stderr, /the vault has GITHUB_TOKEN already/);
  assert.match(readFileSync(output, "utf8"), /servers\.github-mcp/);
  const json = await fixture.json<{ secrets: { name: string; set: boolean }[] }>(
    ...["server", "import", client, "--output", output, "--force", "--replace-secrets"],
  );
  assert.ok(json.secrets.length === 4 && json.secrets.every(({ set }) => set));
});

test("what is wrong with a file has its line, and exit code 2", async () => {
  const wrong = path.join(fixture.folder, "wrong.toml");
  writeFileSync(wrong, '[servers.a]\ncommand = "x"\nalowed_hosts = ["a.example"]\n');
  const { exitCode, stderr } = await fixture.cli(["server", "check", wrong]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /wrong\.toml:3: there is no key 'servers\.a\.alowed_hosts', did you mean 'allowed_hosts'\?/);
});

test("without a file, 'server check' reads the one that 'up' would take", async () => {
  const folder = path.join(fixture.folder, "project");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "mcp.json"), '{"mcpServers": {"mine": {"command": "npx", "args": ["-y", "some"]}}}');
  const { exitCode, stdout, stderr } = await runProgram(
    "sh",
    ["-c", 'cd "$0" && exec "$1" server check', folder, fixture.program],
    { env: fixture.env },
  );
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^mine\n {2}runs +npx -y some$/m);
});
