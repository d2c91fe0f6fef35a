import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import type { GuestClient } from "../../src/guest/client.ts";
import { driveId, SOCKET_NAMES } from "../../src/vmm/qemu/command-line.ts";
import { QmpClient } from "../../src/vmm/qemu/qmp.ts";
import { exec, sh } from "../support/guest-contract.ts";
import { type BareGuest, openBareGuest } from "../support/vmm-setting.ts";

const GIB = 2 ** 30;

/** What only a real guest can show of a personalise request: its drive, its kernel, its files. */
let guest: BareGuest;
let client: GuestClient;
before(async () => {
  guest = await openBareGuest("personalise");
  client = guest.client;
});
after(() => guest?.close());

async function output(script: string): Promise<string> {
  const result = await exec(client, sh(script));
  assert.equal(result.exit?.exitCode, 0, String(result.stderr));
  return String(result.stdout).trim();
}

async function timed(t: { diagnostic: (message: string) => void }, what: string, work: Promise<void>): Promise<void> {
  const startedMs = performance.now();
  await work;
  t.diagnostic(`${what}: ${Math.round(performance.now() - startedMs)} ms`);
}

test("a drive that the host enlarges grows in the guest, once, and never shrinks", async (t) => {
  const { disk } = await client.stats();
  assert.ok(disk.totalBytes < 2 * GIB);
  // QEMU serves one control client: the driver lets go of it.
  guest.setting.driver.close();
  const qmp = await QmpClient.connect(`${guest.record.runtimeDir}/${SOCKET_NAMES.qmp}`, 5_000);
  try {
    for (const gib of [3, 10]) {
      const device = qmp.execute("block_resize", { device: driveId("overlay"), size: gib * GIB });
      // The guest waits for what it has not heard of yet.
      await timed(t, `grow to ${gib} GiB`, client.personalise({ overlayBytes: gib * GIB }));
      await device;
      const grown = (await client.stats()).disk.totalBytes;
      assert.ok(grown > 0.95 * gib * GIB && grown <= gib * GIB, `${grown}`);
    }
    await timed(t, "grow to the size it has", client.personalise({ overlayBytes: 10 * GIB }));
  } finally {
    qmp.close();
  }
  await assert.rejects(client.personalise({ overlayBytes: 5 * GIB, hostname: "refused" }), {
    code: "INVALID_ARGUMENT",
  });
  assert.notEqual(await output("hostname"), "refused");
  await output("head -c 100000000 /dev/urandom > /root/large && sync && rm /root/large");
  assert.equal(await output("dmesg | grep -ci 'ext4-fs error' || true"), "0");
});

test("a drive that does not get the size is an error, and nothing has changed", async () => {
  const request = client.personalise({ overlayBytes: 1000 * GIB, hostname: "too-large" });
  await assert.rejects(request, { code: "GUEST_AGENT_FAILED", message: /has 10737418240 bytes/ });
  assert.notEqual(await output("hostname"), "too-large");
});

test("a boot id replaces the kernel's, and another replaces it", async (t) => {
  const kernels = (await client.hello()).bootId;
  for (const bootId of [randomUUID(), randomUUID()]) {
    await timed(t, "boot id", client.personalise({ bootId }));
    assert.equal(await output("cat /proc/sys/kernel/random/boot_id"), bootId);
    assert.equal((await client.hello()).bootId, bootId);
    assert.notEqual(bootId, kernels);
  }
  assert.equal(await output("grep -c random/boot_id /proc/mounts"), "1");
  assert.equal(await output("stat -c %a /proc/sys/kernel/random/boot_id"), "444");
});

test("a new machine has host keys of its own, of the types that were there, and no seed of another's", async (t) => {
  await timed(t, "new machine without keys", client.personalise({ isNewMachine: true }));
  await output(`
    mkdir -p /etc/ssh /var/lib/systemd
    for kind in rsa ecdsa ed25519; do
      echo old > /etc/ssh/ssh_host_$kind''_key; echo old > /etc/ssh/ssh_host_$kind''_key.pub
    done
    echo seed > /var/lib/systemd/random-seed
    printf '%s\\n' '#!/bin/sh' 'echo "$*" > "$7"; echo public > "$7.pub"' > /usr/local/bin/ssh-keygen
    chmod 755 /usr/local/bin/ssh-keygen`);
  await client.personalise({ hostname: "same-machine" });
  assert.equal(await output("cat /etc/ssh/*_key | sort -u"), "old");
  await timed(t, "new machine with keys", client.personalise({ isNewMachine: true }));
  assert.equal(
    await output("cd /etc/ssh; ls ssh_host_*; cat ssh_host_*_key"),
    [
      "ssh_host_ecdsa_key",
      "ssh_host_ecdsa_key.pub",
      "ssh_host_ed25519_key",
      "ssh_host_ed25519_key.pub",
      "-q -N  -t ecdsa -f /etc/ssh/ssh_host_ecdsa_key.firebreak",
      "-q -N  -t ed25519 -f /etc/ssh/ssh_host_ed25519_key.firebreak",
    ].join("\n"),
  );
  assert.equal(await output("test -e /var/lib/systemd/random-seed || echo gone"), "gone");
  assert.deepEqual(
    (await client.execList()).filter((one) => one.argv[0] === "ssh-keygen"),
    [],
  );
});

test("a key that cannot be made anew is gone all the same", async () => {
  // The image has one of its own, too.
  await output("rm /usr/local/bin/ssh-keygen /usr/bin/ssh-keygen");
  await client.personalise({ isNewMachine: true });
  assert.equal(await output("ls /etc/ssh/ssh_host_* 2>/dev/null | wc -l"), "0");
});

test("all of it together, as a fork has it", async (t) => {
  const values = {
    hostname: "fork",
    wallClockMs: Date.now(),
    entropyBase64: randomBytes(64).toString("base64"),
    machineId: randomBytes(16).toString("hex"),
    bootId: randomUUID(),
    overlayBytes: 10 * GIB,
    isNewMachine: true,
    env: { FORK: "1" },
  };
  for (let round = 0; round < 5; round++) await timed(t, "all", client.personalise(values));
  assert.equal(await output('echo "$(hostname) $FORK"; cat /etc/machine-id'), `fork 1\n${values.machineId}`);
});
