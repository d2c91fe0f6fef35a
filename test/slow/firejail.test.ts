import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { trustAsHost } from "../support/host-trust.ts";
import { ERAS } from "../support/mcp-http.ts";
import { callText, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";

/** Debian's Firejail in an image, from the registries of this host, and a server's profile applied by it. */

const INSTALL_MS = 900_000;
const IMAGE = "slow-firejail";
let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  trustAsHost(fixture);
});
after(async () => {
  await fixture?.cli(["server", "delete", "jailed"]);
  await fixture?.cli(["image", "delete", IMAGE, "--force"]);
  await fixture?.close();
});

test("a server whose image has Firejail runs within the profile of its name", async () => {
  const context = path.join(fixture.folder, "context");
  mkdirSync(context);
  // A build has no network: its packages are fetched in a VM that has one.
  const created = await fixture.cli(["vm", "create", "fetch", "--memory", "512M", "--allow", "registries"], {
    timeoutMs: INSTALL_MS,
  });
  assert.equal(created.exitCode, 0, created.stderr);
  const fetched = await fixture.cli(
    [
      ...["vm", "exec", "fetch", "--", "sh", "-ec"],
      `apt-get update -q; apt-get install -q -y --no-install-recommends --download-only firejail
       mkdir /root/debs; cp /var/cache/apt/archives/*.deb /root/debs`,
    ],
    { timeoutMs: INSTALL_MS },
  );
  assert.equal(fetched.exitCode, 0, fetched.stdout + fetched.stderr);
  await fixture.ok("vm", "cp", "fetch:/root/debs", context);
  await fixture.ok("vm", "delete", "fetch");
  writeFileSync(
    path.join(context, "Dockerfile"),
    "FROM debian\nCOPY debs /debs\nRUN dpkg -i /debs/*.deb && rm -r /debs\n",
  );
  const built = await fixture.cli(
    ["image", "build", context, "--file", path.join(context, "Dockerfile"), "--name", IMAGE],
    {
      timeoutMs: INSTALL_MS,
    },
  );
  assert.equal(built.exitCode, 0, built.stderr);

  const file = path.join(fixture.folder, "firebreak.toml");
  const command = JSON.stringify(["node", "-e", SHELL_PROGRAM]);
  writeFileSync(file, `[servers.jailed]\nimage = "${IMAGE}"\ncommand = ${command}\n`);
  mkdirSync(path.join(fixture.folder, "profiles"));
  writeFileSync(
    path.join(fixture.folder, "profiles", "jailed.profile"),
    "blacklist /etc/debian_version\nread-only /srv\n",
  );
  const up = await fixture.cli(["up", "--config", file], { timeoutMs: INSTALL_MS });
  assert.equal(up.exitCode, 0, up.stderr);
  assert.doesNotMatch(up.stderr, /not applied/);
  const open = await serveGateway(fixture);
  const client = await open("jailed", ERAS[0]?.options ?? {});
  const run = (words: string) => callText(client, "sh", { command: words });
  assert.match(await run("tr '\\0' ' ' < /proc/1/cmdline"), /firejail/);
  // Root may open what Firejail has put in the place of a file, which is empty.
  assert.doesNotMatch(await run("cat /etc/debian_version 2>/dev/null || true"), /\d/);
  assert.match(await run("touch /srv/a 2>&1 || echo refused"), /refused/);
  assert.equal(await run("touch /tmp/a && echo written"), "written\n");
  await client.close();
});
