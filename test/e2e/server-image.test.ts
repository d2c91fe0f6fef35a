import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { ServerUpdated } from "../../src/contract/server.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { writeLayout } from "../support/oci-layout.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { makeTar } from "../support/tar-archive.ts";
import { writeFiles } from "../support/workspace-service.ts";

/** A server that is an image of a registry, as most are that come in containers: the image's own command, user, folder and environment. */

/** An MCP server for a shell that has nothing but its own words. */
const SERVER = `
while read -r line; do
  id=$(echo "$line" | sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p')
  answer() { echo "{\\"jsonrpc\\":\\"2.0\\",\\"id\\":$id,$1}"; }
  case "$line" in
    *'"method":"initialize"'*) answer '"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"boxed","version":"1"}}' ;;
    *'"method":"tools/list"'*) answer '"result":{"tools":[{"name":"about","description":"Says what it is.","inputSchema":{"type":"object"}}]}' ;;
    *'"method":"tools/call"'*) answer "\\"result\\":{\\"content\\":[{\\"type\\":\\"text\\",\\"text\\":\\"$* $GREETING $PWD $(id -u):$(id -g)\\"}]}" ;;
    *) [ -z "$id" ] || answer '"error":{"code":-32601,"message":"no such method"}' ;;
  esac
done`;

let fixture: DaemonFixture;
let registry: Registry;
let open: OpenClient;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
  registry = await startRegistry(path.join(fixture.folder, "registry"));
  open = await serveGateway(fixture);
});
after(async () => {
  await registry?.close();
  await fixture?.close();
});

async function push(greeting: string): Promise<void> {
  const layout = path.join(fixture.folder, greeting);
  const members = [
    { path: "bin/" },
    { path: "bin/busybox", mode: 0o755, content: readFileSync("/bin/busybox") },
    ...["sh", "sed", "id"].map((name) => ({
      ...({ path: `bin/${name}`, type: "symlink", linkTarget: "busybox", mode: 0o777 } as const),
    })),
    { path: "srv/", uid: 1234, gid: 77 },
    { path: "srv/server.sh", mode: 0o644, content: SERVER },
  ];
  const config = {
    Entrypoint: ["/bin/sh", "/srv/server.sh"],
    Cmd: ["by-default"],
    Env: [`GREETING=${greeting}`, "PATH=/bin"],
    WorkingDir: "/srv",
    User: "1234:77",
  };
  await writeLayout(layout, [{ layers: [makeTar(members)], config }]);
  await registry.push(layout, "tools/boxed:1");
}

const lockFile = () => path.join(fixture.folder, "firebreak.lock");
const lockedDigest = () => /^image_digest = "(sha256:[0-9a-f]{64})"$/m.exec(readFileSync(lockFile(), "utf8"))?.[1];
const up = () => fixture.cli(["up", "--config", path.join(fixture.folder, "firebreak.toml")], { timeoutMs: 600_000 });
let image = "";

/** What a client of each revision hears from the server. */
async function answers(): Promise<string[]> {
  const texts: string[] = [];
  for (const { options } of ERAS) {
    const client = await open("boxed", options);
    texts.push(await callText(client, "about").finally(() => client.close()));
  }
  return texts;
}

test("an image of a registry is a server: its command with the configuration's arguments, its user, folder and environment", async () => {
  await push("hello");
  image = `${registry.host}/tools/boxed:1`;
  writeFiles(fixture.folder, { "firebreak.toml": `[servers.boxed]\nimage = "${image}"\nargs = ["as", "asked"]\n` });
  const { exitCode, stderr } = await up();
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(
    await answers(),
    ERAS.map(() => "as asked hello /srv 1234:77"),
  );
  // It is found by its place from now on, by whoever makes a VM of it.
  assert.match((await fixture.ok("image", "get", image)).stdout, /localhost-\d+-tools-boxed:1/);
  assert.ok(readFileSync(lockFile(), "utf8").includes(`image = "${image}"\n`));
  assert.deepEqual((await fixture.client.servers.get("boxed")).image, { name: image, digest: lockedDigest() });
});

test("a tag that has moved changes nothing until an update, which is shown before it is made", async () => {
  const before = lockedDigest() ?? "";
  assert.equal((await fixture.ok("server", "update", "--dry-run")).stdout, "boxed: up to date\n");
  await push("welcome");
  const trial = await fixture.ok("server", "update", "boxed", "--dry-run");
  assert.match(
    trial.stdout,
    /^boxed: 1 image would change\n {2}localhost:\d+\/tools\/boxed:1 {2}sha256:[0-9a-f]{12} -> sha256:[0-9a-f]{12}\n$/,
  );
  assert.ok(trial.stdout.includes(`${before.slice(0, 19)} -> `), trial.stdout);
  assert.equal((await up()).exitCode, 0);
  assert.match((await answers()).join(), /hello/);
  // Also where nothing of it is here any more: its lock says which it was. It goes with the servers that it was fetched for.
  assert.match((await fixture.ok("purge", "--yes")).stdout, /1 image/);
  const again = await up();
  assert.equal(again.exitCode, 0, again.stderr);
  assert.match((await answers()).join(), /hello/);
  assert.equal(lockedDigest(), before);
  assert.match((await fixture.ok("image", "get", image)).stdout, /localhost-\d+-tools-boxed:1/);

  const { updates } = await fixture.json<{ updates: ServerUpdated[] }>("server", "update");
  assert.deepEqual(
    updates.map(({ changes }) => changes),
    [[{ name: image, from: before, to: lockedDigest() ?? "" }]],
  );
  assert.notEqual(lockedDigest(), before);
  assert.match((await answers()).join(), /welcome/);
});

test("a lock that has come from elsewhere is what the next 'up' installs; what it has and nobody else is an error", async () => {
  const [text, now] = [readFileSync(lockFile(), "utf8"), lockedDigest() ?? ""];
  writeFileSync(lockFile(), text.replace(now, `sha256:${"0".repeat(64)}`));
  const unmet = await up();
  assert.equal(unmet.exitCode, 7);
  assert.match(unmet.stderr, /firebreak\.lock has sha256:0+ of .* \(SERVER_LOCK_UNMET\)\n.*firebreak server update/);
  assert.match((await fixture.ok("server", "update", "boxed")).stdout, /^boxed: /);
  assert.equal((await up()).exitCode, 0);
  assert.equal(lockedDigest(), now);
  assert.match((await answers()).join(), /welcome/);
  await fixture.ok("purge", "--yes");
});

test("an image that is in no registry, and one that nobody has, are told apart", async () => {
  for (const [image, code] of [
    [`${registry.host}/tools/none:1`, "IMAGE_NOT_FOUND"],
    ["nobody-has-this", "IMAGE_NOT_FOUND"],
    ["localhost:1/tools/none:1", "IMAGE_PULL_FAILED"],
  ]) {
    writeFiles(fixture.folder, { "firebreak.toml": `[servers.boxed]\nimage = "${image}"\n` });
    const failed = await up();
    assert.equal(failed.exitCode, 7, image);
    assert.match(failed.stderr, new RegExp(String(code)), image);
  }
});
