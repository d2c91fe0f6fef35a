import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { trustAsHost } from "../support/host-trust.ts";
import { ERAS } from "../support/mcp-http.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";

/** Servers that people have, from PyPI, each installed and run in a VM of its own from one file. */

/** For all three, one after the other; on a busy host under emulation each takes ten minutes. */
const INSTALL_MS = 2_400_000;
let fixture: DaemonFixture;
let open: OpenClient;
let project: string;
let states: Record<string, string>;

/** What a server may fetch. */
const page = http.createServer((_request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end("a page of this host\n");
});

before(async () => {
  page.listen(0, "127.0.0.1");
  await once(page, "listening");
  const { port: pagePort } = page.address() as AddressInfo;
  fixture = await startDaemonFixture();
  trustAsHost(fixture);
  project = path.join(fixture.folder, "project");
  execFileSync("git", ["init", "-q", "-b", "main", project]);
  writeFileSync(path.join(project, "a.txt"), "first\n");
  const identity = ["-c", "user.name=T", "-c", "user.email=t@example.com"];
  execFileSync("git", ["-C", project, "add", "."]);
  execFileSync("git", ["-C", project, ...identity, "commit", "-q", "-m", "the first of all"]);
  const file = path.join(fixture.folder, "firebreak.toml");
  writeFileSync(
    file,
    `
[servers.git]
command = ["uvx", "mcp-server-git", "--repository", ${JSON.stringify(project)}]
allowed_paths = [${JSON.stringify(`${project}:rw`)}]

[servers.time]
command = ["uvx", "mcp-server-time", "--local-timezone", "UTC"]

[servers.fetch]
command = ["uvx", "mcp-server-fetch", "--ignore-robots-txt", "--allow-private-ips"]
allowed_hosts = ["page.test:${pagePort}"]
private_hosts = true
host_addresses = { "page.test" = "127.0.0.1" }
`,
  );
  const up = await fixture.cli(["up", "--config", file], { timeoutMs: INSTALL_MS });
  process.stdout.write(up.stdout + up.stderr);
  states = Object.fromEntries((await fixture.client.servers.list()).map(({ name, state }) => [name, state]));
  open = await serveGateway(fixture);
});
after(async () => {
  await fixture?.close();
  page.close();
});

function requireUsable(server: string): void {
  assert.ok(["running", "stopped"].includes(states[server] ?? ""), `${server} is ${states[server]}`);
}

const calls: [server: string, tool: string, args: () => Record<string, unknown>, answer: RegExp][] = [
  ["git", "git_log", () => ({ repo_path: project }), /the first of all/],
  ["time", "get_current_time", () => ({ timezone: "Europe/Berlin" }), /Berlin/],
];
for (const [server, tool, args, answer] of calls)
  test(`${server} is installed, looked at and called`, async () => {
    requireUsable(server);
    for (const { options } of ERAS) {
      const client = await open(server, options);
      assert.match(await callText(client, tool, args()), answer);
      await client.close();
    }
  });

test("fetch gets what its host is open for, and reaches no other, and says so", async () => {
  requireUsable("fetch");
  const { port } = page.address() as AddressInfo;
  for (const { options } of ERAS) {
    const client = await open("fetch", options);
    assert.match(await callText(client, "fetch", { url: `http://page.test:${port}/` }), /a page of this host/);
    const answer = await client.callTool({ name: "fetch", arguments: { url: "https://example.com/" } });
    assert.equal(answer.isError, true);
    await client.close();
  }
});
