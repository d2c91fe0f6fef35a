import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type ConnectProxy, openConnectProxy } from "../support/connect-proxy.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type GitServer, openGitServer } from "../support/git-server.ts";
import { trustAsHost } from "../support/host-trust.ts";
import { ERAS } from "../support/mcp-http.ts";
import { type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { shellOf } from "../support/mcp-servers/shell-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { hostAuthority } from "../support/opened-pair.ts";
import { writeFiles } from "../support/workspace-service.ts";

/** A server from a repository of git, which is its command's package. */

const INSTALL_MS = 900_000;
let folder: string;
let git: GitServer;
let proxy: ConnectProxy;
let fixture: DaemonFixture;
let open: OpenClient;
let first: string;

const commit = (version: string) =>
  git.commit("tools", {
    "package.json": JSON.stringify({ name: "git-tools", version, bin: { "git-tools": "server.js" } }),
    "server.js": `#!/usr/bin/env node\n${SHELL_PROGRAM}\n`,
  });

before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-authority-"));
  writeFiles(folder, { "ca.pem": await hostAuthority.certificate() });
  git = await openGitServer("git.test");
  first = commit("1.0.0");
  proxy = await openConnectProxy({ "git.test:443": git.port });
  fixture = await startDaemonFixture({
    env: {
      ...proxy.env,
      npm_config_registry: "http://registry.test/",
      NODE_EXTRA_CA_CERTS: path.join(folder, "ca.pem"),
    },
  });
  trustAsHost(fixture);
  writeFiles(fixture.folder, {
    "firebreak.toml":
      '[servers.tools]\ncommand = ["npx", "-y", "git+https://git.test/tools.git#main", "an-argument"]\n',
  });
  const up = await fixture.cli(["up", "--config", path.join(fixture.folder, "firebreak.toml")], {
    timeoutMs: INSTALL_MS,
  });
  assert.equal(up.exitCode, 0, up.stderr);
  open = await serveGateway(fixture);
});
after(async () => {
  await fixture?.close();
  proxy?.close();
  git?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function sh(command: string): Promise<string> {
  const client = await open("tools", ERAS[0]?.options ?? {});
  try {
    return await shellOf(client)(command);
  } finally {
    await client.close();
  }
}

test("its commit is what is installed and written down; its build VM reaches that repository's host", async () => {
  const { packages } = await fixture.client.servers.get("tools");
  assert.deepEqual([packages[0]?.name, packages[0]?.version], ["git-tools", "1.0.0"]);
  assert.ok(packages[0]?.digest?.endsWith(`#${first}`), packages[0]?.digest);
  assert.match(await sh("tr '\\0' ' ' < /proc/$PPID/cmdline"), /git-tools an-argument $/);
  assert.ok(proxy.asked.includes("git.test:443"));
  assert.deepEqual(
    [...new Set(proxy.asked)].filter((place) => !["git.test:443", "registry.test:80"].includes(place)),
    [],
  );
});

test("at run time its host is closed", async () => {
  assert.match(await sh("git ls-remote https://git.test/tools.git 2>&1 || echo refused"), /refused\n$/);
});

test("an update finds the next commit", async () => {
  const second = commit("1.1.0");
  const { stdout, stderr } = await fixture.cli(["server", "update", "tools"], { timeoutMs: INSTALL_MS });
  assert.equal(stdout, "tools: 1 package has changed\n  git-tools  1.0.0 -> 1.1.0\n", stderr);
  assert.match(await sh("cat /opt/mcp/node_modules/git-tools/package.json"), /1\.1\.0/);
  assert.ok((await fixture.client.servers.get("tools")).packages[0]?.digest?.endsWith(`#${second}`));
});
