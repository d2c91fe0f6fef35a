import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.vms.create({ name: "box", diskMib: 128 });
});
after(() => fixture.close());

test("what a VM made is kept beyond the VM and the daemon, and comes back byte for byte", async () => {
  const script =
    "head -c 3000000 /dev/urandom > /root/data; mkdir /root/out; echo hi > /root/out/note; sha256sum < /root/data";
  const made = await fixture.cli(["vm", "exec", "box", "--", "sh", "-c", script]);
  assert.equal(
    (await fixture.cli(["artifact", "create", "box", "/root/data", "--name", "run.bin"])).stdout,
    "run.bin\n",
  );
  assert.equal((await fixture.cli(["artifact", "create", "box", "/root/out"])).stdout, "out.tar\n");
  await fixture.client.vms.delete("box");
  await fixture.cli(["daemon", "stop"]);
  const file = path.join(fixture.folder, "back");
  assert.equal((await fixture.cli(["artifact", "get", "run.bin", "--output", file])).exitCode, 0);
  const artifact = await fixture.client.artifacts.get("run.bin");
  assert.deepEqual(
    [artifact.sizeBytes, artifact.vm.name, artifact.digest, readFileSync(file).length],
    [3_000_000, "box", `sha256:${made.stdout.split(" ")[0]}`, 3_000_000],
  );
  assert.match((await fixture.cli(["artifact", "get", "out.tar"])).stdout, /note/);
  assert.match((await fixture.cli(["artifact", "list"])).stdout, /run\.bin .*\n.*out\.tar/);
  assert.equal((await fixture.cli(["artifact", "delete", "--all"])).exitCode, 0);
  assert.match((await fixture.cli(["artifact", "get", "run.bin"])).stderr, /ARTIFACT_NOT_FOUND/);
});

test("content that was altered on the disk is not passed off as what was kept", async () => {
  await fixture.client.vms.create({ name: "other", diskMib: 128 });
  await fixture.cli(["vm", "exec", "other", "--", "sh", "-c", "echo kept > /root/f"]);
  const { digest } = await fixture.client.artifacts.create("other", { path: "/root/f" });
  writeFileSync(path.join(fixture.paths.artifacts, digest.slice("sha256:".length)), "evil\n");
  const target = path.join(fixture.folder, "altered");
  assert.match((await fixture.cli(["artifact", "get", "f", "-o", target])).stderr, /ARTIFACT_CORRUPT/);
  assert.equal(existsSync(target), false);
});
