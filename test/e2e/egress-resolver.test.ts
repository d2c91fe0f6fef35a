import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type Internet, METADATA, openInternet, PRIVATE, requireRoot, WORLD } from "../support/internet.ts";
import { type NameServer, openNameServer } from "../support/name-server.ts";

/** Names that the host resolves by its own means, as it does without `hosts`: on a host, an Internet and with a name server of the test's own. */

const NAME_SERVER = "203.0.113.1";
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-resolver-"));
let internet: Internet;
let names: NameServer;
let fixture: DaemonFixture;

before(async () => {
  requireRoot();
  internet = await openInternet();
  names = await openNameServer(internet.beyond, NAME_SERVER, {
    "good.world.test": [WORLD],
    "other.world.test": [WORLD],
    "inner.world.test": [PRIVATE],
    "mixed.world.test": [WORLD, PRIVATE],
    "metadata.world.test": [METADATA],
    "loop.world.test": ["127.0.0.1"],
    "empty.world.test": [],
  });
  // For the daemon and what it starts alone: a mount of its own over this machine's file.
  const resolver = path.join(folder, "resolv.conf");
  writeFileSync(resolver, `nameserver ${NAME_SERVER}\noptions timeout:2 attempts:2\n`);
  const mounted = `mount --bind ${resolver} /etc/resolv.conf && exec "$@"`;
  const within = [...internet.within, "unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, "sh"];
  // The daemon lets go of nothing of the environment, in which this machine may name a proxy.
  const noProxy = Object.fromEntries(
    ["http_proxy", "https_proxy", "all_proxy"].flatMap((name) => [
      [name, undefined],
      [name.toUpperCase(), undefined],
    ]),
  );
  fixture = await startDaemonFixture({ within, env: noProxy });
});
after(async () => {
  await fixture?.close();
  names?.close();
  internet?.close();
  rmSync(folder, { recursive: true });
});

const get = async (vm: string, host: string) =>
  (await fixture.cli(["vm", "exec", vm, "--", "curl", "-sS", "-m", "60", `http://${host}/`])).stdout;
const log = async (vm: string): Promise<EgressEvent[]> =>
  (await fixture.json<{ events: EgressEvent[] }>("egress", "log", vm)).events;

test("mode public: a name that the host's own resolver knows leads to a public address, and is reached", async () => {
  await fixture.ok("vm", "create", "open", "--network", "public", "--deny", "other.world.test");
  assert.equal(await get("open", "good.world.test"), `${WORLD} saw 203.0.113.2`);
  assert.ok(names.asked.includes("good.world.test"));
  const event = (await log("open")).find(({ name }) => name === "good.world.test");
  assert.deepEqual([event?.verdict, event?.address], ["allowed", WORLD]);
});

test("mode public: names that lead to this host, its networks or metadata are refused, and so is one that a rule denies", async () => {
  for (const [name, why] of [
    ["inner.world.test", /leads to 10\.9\.9\.9, which is a private address/],
    ["mixed.world.test", /leads to 10\.9\.9\.9, which is a private address/],
    ["metadata.world.test", /leads to 169\.254\.169\.254, which is a/],
    ["loop.world.test", /leads to 127\.0\.0\.1, which is a loopback address/],
    ["other.world.test", /denies|denied/],
    ["nobody.world.test", /cannot be resolved: ENOTFOUND/],
    ["empty.world.test", /cannot be resolved/],
  ] as const) {
    assert.equal(await get("open", name), "", name);
    const event = (await log("open")).find((each) => each.name === name);
    assert.match(event?.why ?? "", why, name);
    assert.notEqual(event?.verdict, "allowed");
  }
  assert.ok(!names.asked.includes("other.world.test"), "what is denied is not asked for");
});

test("mode allowlist: what the policy names is resolved by the host, and nothing else is asked for", async () => {
  await fixture.ok("vm", "create", "narrow", "--allow", "good.world.test:80");
  assert.equal(await get("narrow", "good.world.test"), `${WORLD} saw 203.0.113.2`);
  const before = names.asked.length;
  assert.equal(await get("narrow", "secret-that-a-vm-knows.world.test"), "");
  assert.deepEqual(names.asked.slice(before), []);
});
