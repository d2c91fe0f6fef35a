import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { NatStatus } from "../../src/contract/nat.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { requireRoot } from "../support/internet.ts";

/** Network cards for whoever is not root: QEMU's user-mode networking, in an installation of a user's own. */

const UID = 64_111;
/** What user-mode networking makes of the host's loopback, for its VM. */
const HOST = "10.0.2.2";
let fixture: DaemonFixture;
const web = createServer((request, response) => response.end(`hello ${request.url}`));

before(async () => {
  requireRoot(); // to become somebody else
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  fixture = await startDaemonFixture({ uid: UID });
});
after(async () => {
  await fixture?.close();
  web.close();
});

const status = () => fixture.json<NatStatus>("network", "status");

test("a bridge is not for an ordinary user, who is told what is", async () => {
  const { pid } = await fixture.client.status();
  assert.match(readFileSync(`/proc/${pid}/status`, "utf8"), new RegExp(`^Uid:\\s+${UID}\\s+${UID}\\b`, "m"));
  const { exitCode, stderr } = await fixture.cli(["network", "setup"]);
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /root[\s\S]*--user/);
  assert.match((await fixture.cli(["vm", "create", "early", "--network", "nat"])).stderr, /NETWORK_NOT_SET_UP/);
});

test("user-mode networking needs no root: a VM has a card, and its packets are the user's own connections", async () => {
  await fixture.ok("network", "setup", "--user");
  assert.equal((await status()).isSetUp, true);
  await fixture.ok("vm", "create", "plain", "--network", "nat");
  const { port } = web.address() as AddressInfo;
  const got = await fixture.cli([
    "vm",
    "exec",
    "plain",
    "--",
    "curl",
    "-sS",
    "-m",
    "60",
    `http://${HOST}:${port}/there`,
  ]);
  assert.equal(got.stdout, "hello /there", got.stderr);
  const card = await fixture.ok("vm", "exec", "plain", "--", "cat", "/sys/class/net/eth0/carrier");
  assert.equal(card.stdout, "1\n");
  await fixture.ok("vm", "delete", "plain");
  await fixture.ok("network", "teardown");
  assert.equal((await status()).isSetUp, false);
});

test("without a card, names are decided for an ordinary user's VM as for any other's", async () => {
  await fixture.ok("vm", "create", "closed", "--allow", "one.example");
  const refused = await fixture.cli(["vm", "exec", "closed", "--", "curl", "-sS", "-m", "60", "http://two.example/"]);
  assert.equal(refused.exitCode, 6, refused.stderr);
});
