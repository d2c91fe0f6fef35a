import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { ServerMount } from "../../src/contract/server.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";
import { readFiles, writeFiles } from "../support/workspace-service.ts";

let fixture: DaemonFixture;
let open: OpenClient;
before(async () => {
  fixture = await startDaemonFixture();
  open = await serveGateway(fixture);
});
after(() => fixture.close());

/** A directory of this host, by its name. */
const host = (name: string) => path.join(fixture.folder, "host", name);
const copyOf = (name: string, at: string, access: ServerMount["access"] = "rw"): ServerMount => ({
  path: host(name),
  at,
  access,
  mode: "copy",
});

async function serve(name: string, mounts: ServerMount[], idleTimeoutMs = 600_000): Promise<void> {
  const env = { MARK: `${mounts[0]?.at}/mark` };
  const server = vmServer(name, SHELL_PROGRAM, { mounts, env, idleTimeoutMs });
  await fixture.client.servers.apply({ source: "e2e", servers: [server] });
  await fixture.client.servers.prepare(name);
}

async function sh(server: string, command: string): Promise<string> {
  const client = await open(server, ERAS[0]?.options ?? {});
  try {
    return await callText(client, "sh", { command });
  } finally {
    await client.close();
  }
}

const vmOf = async (server: string) => (await fixture.client.servers.get(server)).vms[0] ?? "";

test("what a server changes in a copy comes back at its stop, after a backup, and nothing from outside of it", async () => {
  writeFiles(host("hostile"), { a: "1", "d/b": "1" });
  writeFiles(host("read"), { r: "1" });
  writeFiles(host("secret"), { s: "kept" });
  await serve("hostile", [copyOf("hostile", "/srv/work"), copyOf("read", "/srv/read", "ro")]);
  // It has been started, with a copy of which nothing comes back.
  assert.deepEqual(readFiles(host("hostile")), { a: "1", d: "/", "d/b": "1" });
  await sh(
    "hostile",
    `cat /srv/read/r; echo 2 > /srv/read/r; cd /srv/work; echo 2 > a; rm -r d; mkdir n; echo new > n/f; ln -s a good
     ln -s ${host("secret")} out; ln -s ../../secret up; ln -s /etc/passwd passwd; echo x > ../outside; mkfifo pipe
     mkdir -p .git/hooks .git/objects .git/refs; echo ref: refs/heads/main > .git/HEAD
     printf '[core]\\nfsmonitor = touch /tmp/had\\n' > .git/config; printf '#!/bin/sh\\n' > .git/hooks/pre-commit`,
  );
  assert.deepEqual(readFiles(host("hostile")), { a: "1", d: "/", "d/b": "1" });
  await fixture.client.servers.stop("hostile");
  const { ".git/HEAD": head, ...came } = readFiles(host("hostile"));
  assert.equal(head, "ref: refs/heads/main\n");
  const folders = { n: "/", ".git": "/", ".git/hooks": "/", ".git/objects": "/", ".git/refs": "/" };
  const files = { a: "2\n", mark: "started\n", "n/f": "new\n", good: "-> a" };
  assert.deepEqual(came, { ...folders, ...files });
  assert.deepEqual([readFiles(host("read")), readFiles(host("secret"))], [{ r: "1" }, { s: "kept" }]);
  const { backups } = await fixture.json<{ backups: { directory: string; id: string }[] }>("workspace", "backups");
  const [backup] = backups.filter(({ directory }) => directory === host("hostile"));
  await fixture.ok("workspace", "restore", backup?.id ?? "");
  assert.equal(readFiles(host("hostile"))["d/b"], "1");
});

test("an idle server's changes come back, and the next call finds what this host has changed; of what both change, both stay", async () => {
  writeFiles(host("idle"), { a: "1", b: "1" });
  await serve("idle", [copyOf("idle", "/srv/idle")], 1_000);
  await sh("idle", "echo 2 > /srv/idle/a");
  await waitForVmState(fixture.client, await vmOf("idle"), "suspended");
  assert.equal(readFiles(host("idle")).a, "2\n");
  writeFiles(host("idle"), { b: "3", c: "3" });
  assert.equal(await sh("idle", "cd /srv/idle; cat b c; echo vm > b"), "33");
  writeFiles(host("idle"), { b: "host" });
  await fixture.client.servers.stop("idle");
  const { mark: _mark, ...files } = readFiles(host("idle"));
  const [beside = ""] = Object.keys(files).filter((name) => name.startsWith("b.from-mcp-idle"));
  assert.deepEqual(files, { a: "2\n", b: "host", [beside]: "vm\n", c: "3" });
});

test("what cannot come back keeps its VM, and is told of; a daemon and a VMM that are killed lose nothing", async () => {
  writeFiles(host("lost"), { a: "1" });
  await serve("lost", [copyOf("lost", "/srv/lost")]);
  await sh("lost", "echo 2 > /srv/lost/a; sync");
  const vm = await fixture.client.vms.get(await vmOf("lost"));
  renameSync(host("lost"), host("gone"));
  const down = await fixture.cli(["server", "delete", "lost"]);
  assert.match(down.stderr, /WORKSPACE_NOT_SYNCED/);
  assert.equal(
    (await fixture.client.workspaces.list()).find(({ directory }) => directory === host("lost"))?.state,
    "open",
  );
  renameSync(host("gone"), host("lost"));
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  process.kill(vm.pid as number, "SIGKILL");
  await waitFor(async () => !(await listProcesses(fixture.folder)).some(({ pid }) => pid === vm.pid));
  await fixture.ok("daemon", "start");
  assert.equal(await sh("lost", "cat /srv/lost/a"), "2\n");
  await fixture.client.servers.stop("lost");
  assert.equal(readFiles(host("lost")).a, "2\n");
});

test("a workspace of all servers of a file is at /mcp-workspace of each, and comes back from each", async () => {
  writeFiles(host("all"), { a: "1" });
  await fixture.client.servers.apply({ source: "e2e", servers: [] });
  const file = path.join(fixture.folder, "firebreak.toml");
  const write = (memory: string) =>
    writeFileSync(
      file,
      `[profiles.shell]\ncommand = ${JSON.stringify(["node", "-e", SHELL_PROGRAM])}\n[servers.one]\nvm_profile = "shell"\nmemory = "256M"\n[servers.two]\nvm_profile = "shell"\nmemory = "${memory}"\n`,
    );
  write("256M");
  writeFiles(fixture.folder, { "profiles/two.profile": "net none\n" });
  const { stderr } = await fixture.ok("up", "--config", file, "--workspace", host("all"));
  assert.match(stderr, /two: profiles\/two\.profile is not applied: there is no Firejail in the image/);
  await sh("one", "cat /mcp-workspace/a; echo 1 > /mcp-workspace/one");
  await sh("two", "echo 2 > /mcp-workspace/two");
  // The daemon reads the file anew, and knows still what it was told beside it.
  write("300M");
  await waitFor(() => readFiles(host("all")).two === "2\n");
  await sh("two", "echo 3 > /mcp-workspace/three");
  await fixture.ok("down", "--config", file);
  assert.deepEqual(readFiles(host("all")), { a: "1", one: "1\n", two: "2\n", three: "3\n" });
  assert.deepEqual(await fixture.client.workspaces.list(), []);
  assert.match((await fixture.cli(["purge"])).stderr, /nobody is there to be asked/);
  const purged = await fixture.json<{ servers: string[]; images: string[] }>("purge", "--yes");
  assert.deepEqual([purged.servers, purged.images], [["one", "two"], []]);
  assert.deepEqual(await fixture.client.servers.list(), []);
});
