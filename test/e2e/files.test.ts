import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hasCode } from "../support/has-code.ts";

let fixture: DaemonFixture;
let local: string;
before(async () => {
  fixture = await startDaemonFixture();
  local = path.join(fixture.folder, "local");
  mkdirSync(local);
  await fixture.client.vms.create({ name: "box", diskMib: 128 });
});
after(() => fixture.close());

const sh = (script: string) => fixture.cli(["vm", "exec", "box", "--", "sh", "-c", script]);
const cp = (from: string, to: string) => fixture.cli(["vm", "cp", from, to]);

test("a file goes in and comes back byte for byte, with its mode", async () => {
  const bytes = randomBytes(3_000_000);
  writeFileSync(path.join(local, "f"), bytes, { mode: 0o750 });
  assert.equal((await cp(path.join(local, "f"), "box:/root/f")).exitCode, 0);
  assert.equal((await sh("stat -c %a /root/f")).stdout, "750\n");
  assert.equal((await cp("box:/root/f", path.join(local, "back"))).exitCode, 0);
  assert.ok(readFileSync(path.join(local, "back")).equals(bytes));
});

test("a directory goes in and comes back, links and names included", async () => {
  mkdirSync(path.join(local, "tree/sub"), { recursive: true });
  writeFileSync(path.join(local, "tree/sub/ä b"), "x");
  symlinkSync("sub/ä b", path.join(local, "tree/link"));
  assert.equal((await cp(path.join(local, "tree"), "box:/root/tree")).exitCode, 0);
  assert.equal((await sh("cat /root/tree/link")).stdout, "x");
  assert.equal((await cp("box:/root/tree", path.join(local, "tree-back"))).exitCode, 0);
  assert.equal(readFileSync(path.join(local, "tree-back/link"), "utf8"), "x");
  assert.ok(lstatSync(path.join(local, "tree-back/link")).isSymbolicLink());
});

test("a directory that is there receives the copy inside it", async () => {
  writeFileSync(path.join(local, "inside"), "1");
  await cp(path.join(local, "inside"), "box:/tmp");
  assert.equal((await sh("cat /tmp/inside")).stdout, "1");
});

test("names that are no UTF-8, long ones and FIFOs: what can be copied comes back byte for byte, the rest is named", async () => {
  const long = `${"d".repeat(120)}/${"f".repeat(200)}`;
  await sh(
    `mkdir -p /root/odd/${"d".repeat(120)}; echo x > /root/odd/${long}; printf y > "$(printf '/root/odd/a\\377b')"; mkfifo /root/odd/pipe`,
  );
  const out = await cp("box:/root/odd", path.join(local, "odd"));
  assert.deepEqual([out.exitCode, /left out: pipe/.test(out.stderr)], [0, true], out.stderr);
  assert.equal(readFileSync(path.join(local, "odd", long), "utf8"), "x\n");
  const name = Buffer.concat([Buffer.from(path.join(local, "odd/a")), Buffer.from([0xff]), Buffer.from("b")]);
  assert.equal(readFileSync(name, "utf8"), "y");
  execFileSync("mkfifo", [path.join(local, "odd/pipe")]);
  const back = await cp(path.join(local, "odd"), "box:/root/odd2");
  assert.match(back.stderr, /left out: pipe/);
  assert.equal((await sh(`cat "$(printf '/root/odd2/a\\377b')" /root/odd2/${long}`)).stdout, "yx\n");
});

test("more than the limits allow is refused with the flag that raises them", async () => {
  await sh("mkdir /root/many; cd /root/many; touch $(seq 50); head -c 2000000 /dev/zero > big");
  const limited = (flag: string, value: string) =>
    fixture.cli(["vm", "cp", flag, value, "box:/root/many", path.join(local, "many")]);
  assert.match((await limited("--max-entries", "20")).stderr, /ARCHIVE_TOO_LARGE[\s\S]*--max-entries/);
  assert.match((await limited("--max-size", "1")).stderr, /ARCHIVE_TOO_LARGE[\s\S]*--max-size/);
  assert.equal((await limited("--max-entries", "51")).exitCode, 0);
});

test("what is missing, on either side, is one clear error", async () => {
  assert.match((await cp("box:/no/such", path.join(local, "x"))).stderr, /FILE_NOT_FOUND/);
  assert.match((await cp(path.join(local, "missing"), "box:/root")).stderr, /HOST_PATH_NOT_FOUND/);
  assert.match((await cp("box:/root/f", path.join(local, "no/dir/x"))).stderr, /HOST_PATH_NOT_FOUND/);
  assert.match((await cp(path.join(local, "a"), path.join(local, "b"))).stderr, /INVALID_ARGUMENT/);
  await assert.rejects(fixture.client.files.read("box", "relative"), hasCode("INVALID_PATH"));
  await assert.rejects(fixture.client.files.read("box", "/a\0b"), hasCode("INVALID_PATH"));
});

test("a full disk in the guest is an error with a code, leaves the old file, and the VM works on", async () => {
  await sh("echo old > /root/kept; head -c 200000000 /dev/zero > /root/filler");
  const big = Readable.from(
    (function* () {
      for (let index = 0; index < 64; index++) yield Buffer.alloc(1024 * 1024);
    })(),
  );
  await assert.rejects(fixture.client.files.write("box", "/root/kept", big), hasCode("GUEST_DISK_FULL"));
  assert.equal((await sh("cat /root/kept; ls -A /root | grep -c firebreak")).stdout, "old\n0\n");
  const failed = await sh("head -c 9000000 /dev/zero > /root/more");
  assert.match(failed.stderr, /No space left/);
  await sh("rm -f /root/filler /root/more");
  assert.equal((await sh("echo works")).stdout, "works\n");
});
