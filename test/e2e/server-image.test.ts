import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
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

test("an image of a registry is a server: its command with the configuration's arguments, its user, folder and environment", async () => {
  await push("hello");
  const image = `${registry.host}/tools/boxed:1`;
  writeFiles(fixture.folder, { "firebreak.toml": `[servers.boxed]\nimage = "${image}"\nargs = ["as", "asked"]\n` });
  const up = await fixture.cli(["up", "--config", path.join(fixture.folder, "firebreak.toml")], { timeoutMs: 600_000 });
  assert.equal(up.exitCode, 0, up.stderr);
  for (const { options } of ERAS) {
    const client = await open("boxed", options);
    try {
      assert.equal(await callText(client, "about"), "as asked hello /srv 1234:77");
    } finally {
      await client.close();
    }
  }
  // It is found by its place from now on, by whoever makes a VM of it, and goes with the servers that it was fetched for.
  assert.match((await fixture.ok("image", "get", image)).stdout, /localhost-\d+-tools-boxed:1/);
  assert.match((await fixture.ok("purge", "--yes")).stdout, /1 image/);
});

test("an image that is in no registry, and one that nobody has, are told apart", async () => {
  for (const [image, code] of [
    [`${registry.host}/tools/none:1`, "IMAGE_NOT_FOUND"],
    ["nobody-has-this", "IMAGE_NOT_FOUND"],
    ["localhost:1/tools/none:1", "IMAGE_PULL_FAILED"],
  ]) {
    writeFiles(fixture.folder, { "firebreak.toml": `[servers.boxed]\nimage = "${image}"\n` });
    const up = await fixture.cli(["up", "--config", path.join(fixture.folder, "firebreak.toml")]);
    assert.equal(up.exitCode, 7, image);
    assert.match(up.stderr, new RegExp(String(code)), image);
  }
});
