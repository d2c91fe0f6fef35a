import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type ServedMount, serveMount } from "../../src/mounts/serve.ts";
import { FileThread } from "../../src/mounts/thread.ts";
import { exec } from "../support/guest-contract.ts";
import { missingForMounts, runShell, startMountAgent } from "../support/mount-agent.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = missingForMounts() ?? false;
const timeout = 60_000;

let agent: Awaited<ReturnType<typeof startMountAgent>>;
/** An agent on this host has one attachment at a time. */
let link: ReturnType<typeof agent.connect>;
const thread = new FileThread();
before(async () => {
  if (skip !== false) return;
  agent = await startMountAgent();
  link = agent.connect();
});
after(async () => {
  link?.connection.close();
  await thread.close();
  await agent?.close();
});
let count = 0;

/** A host directory, a place for it, and what serves it: as a daemon does, until `leave`. */
function setUp(access: "ro" | "rw" = "rw") {
  const number = ++count;
  const host = path.join(agent.folder, `host${number}`);
  const place = path.join(agent.folder, `guest${number}`);
  mkdirSync(host);
  const begin = () => {
    const over = new AbortController();
    const served: ServedMount = serveMount(link.client, {
      ...{ id: `m${number}`, hostPath: host, guestPath: place, access, signal: over.signal, thread },
    });
    const leave = async () => {
      over.abort();
      await served.ended;
    };
    return { client: link.client, ...served, leave };
  };
  return { host, place, begin, id: `m${number}` };
}

test("what is open goes on with the next host, by path, and a request that nobody answered is answered by it", {
  skip,
}, async () => {
  const { host, place, begin } = setUp();
  let daemon = begin();
  await daemon.attached;
  const script = `exec 3>${place}/log 4<>${place}/kept; echo 1 >&3; mv ${place}/kept ${place}/renamed
    touch ${place}/ready; while [ ! -e ${place}/go ]; do sleep 0.05; done
    mkdir ${place}/d; echo 2 >&3; echo x >&4; mv ${place}/d ${place}/e; echo over >&3`;
  const running = runShell(daemon.client, script).catch(() => {});
  await waitFor(() => existsSync(path.join(host, "ready")));
  await daemon.leave();
  link.connection.detach();
  writeFileSync(path.join(host, "go"), "");
  daemon = begin();
  await daemon.attached;
  await waitFor(() => existsSync(path.join(host, "e")));
  await waitFor(() => readFileSync(path.join(host, "log"), "utf8") === "1\n2\nover\n");
  assert.equal(readFileSync(path.join(host, "renamed"), "utf8"), "x\n");
  await running;
  await daemon.leave();
});

test("a command that is to start in a mount without a host waits, and the agent does not wait with it", {
  skip,
}, async () => {
  const { host, place, begin } = setUp();
  writeFileSync(path.join(host, "program"), "#!/bin/sh\npwd\n", { mode: 0o755 });
  const first = begin();
  await first.attached;
  await first.leave();
  const starting = exec(link.client, { argv: ["./program"], cwd: place });
  for (let round = 0; round < 5; round++) await link.client.hello();
  const elsewhere = await runShell(link.client, "echo here");
  assert.equal(elsewhere, "here\n");
  const second = begin();
  const { exit, stdout } = await starting;
  assert.deepEqual([exit?.exitCode, stdout.toString()], [0, `${place}\n`]);
  // One that ends at once has its status, too.
  for (let round = 0; round < 20; round++)
    assert.equal((await exec(link.client, { argv: ["sh", "-c", `exit ${round}`] })).exit?.exitCode, round);
  await assert.rejects(exec(link.client, { argv: ["./missing"], cwd: place }), { code: "COMMAND_NOT_FOUND" });
  await second.leave();
});

test("what is refused is EIO at once, until a host comes again", { skip, timeout }, async () => {
  const { host, place, begin, id } = setUp();
  writeFileSync(path.join(host, "f"), "content");
  const first = begin();
  await first.attached;
  await first.leave();
  const find = async () => (await link.client.mountList()).find((mount) => mount.id === id);
  await waitFor(async () => (await find())?.attached === false);
  assert.deepEqual(await find(), { id, path: place, readOnly: false, attached: false });
  await link.client.mountRefuse(id);
  await assert.rejects(runShell(link.client, `cat ${place}/f`), /Input\/output error/);
  const second = begin();
  await second.attached;
  assert.equal(await runShell(link.client, `cat ${place}/f`), "content");
  await second.leave();
});

test("a mount is taken away, by force while it is used; one that the guest unmounts is over", {
  skip,
  timeout,
}, async () => {
  const { place, begin, id } = setUp();
  const daemon = begin();
  await daemon.attached;
  const holder = runShell(daemon.client, `cd ${place}; touch here; exec sleep 3`).catch(() => {});
  await waitFor(async () => (await runShell(daemon.client, `ls ${place}`)) === "here\n");
  await assert.rejects(daemon.client.mountDelete(id, false), { code: "MOUNT_BUSY" });
  await daemon.client.mountDelete(id, true);
  assert.equal(await runShell(daemon.client, `ls ${place}`), "");
  await daemon.leave();
  await holder;
  const other = setUp();
  const second = other.begin();
  await second.attached;
  await runShell(second.client, `umount ${other.place}`);
  await second.ended;
  assert.ok(!(await second.client.mountList()).some((mount) => mount.id === other.id));
  await second.leave();
});

test("a second host takes a mount over from the first", { skip, timeout }, async () => {
  const { host, place, begin } = setUp();
  writeFileSync(path.join(host, "f"), "content");
  const first = begin();
  await first.attached;
  const second = begin();
  await second.attached;
  assert.equal(await runShell(second.client, `cat ${place}/f`), "content");
  await first.leave();
  assert.equal(await runShell(second.client, `cat ${place}/f`), "content");
  await second.leave();
});

test("what the host does meanwhile is seen: replaced files, moved directories, new and removed names", {
  skip,
}, async () => {
  const { host, place, begin } = setUp();
  const daemon = begin();
  await daemon.attached;
  mkdirSync(path.join(host, "d/e"), { recursive: true });
  writeFileSync(path.join(host, "d/e/f"), "1");
  assert.equal(await runShell(daemon.client, `cat ${place}/d/e/f`), "1");
  writeFileSync(path.join(host, "d/e/new"), "22");
  renameSync(path.join(host, "d/e/new"), path.join(host, "d/e/f"));
  renameSync(path.join(host, "d/e"), path.join(host, "moved"));
  rmSync(path.join(host, "d"), { recursive: true });
  assert.equal(await runShell(daemon.client, `sleep 1.1; cat ${place}/moved/f; ls ${place}`), "22moved\n");
  await daemon.leave();
});

test("a place or a path that does not do is an error of its own", { skip, timeout }, async () => {
  const { host, begin, place } = setUp();
  const options = { id: "bad", hostPath: host, access: "ro", thread, signal: AbortSignal.timeout(60_000) } as const;
  const attempt = (changes: object) => serveMount(link.client, { ...options, guestPath: place, ...changes }).attached;
  await assert.rejects(attempt({ guestPath: "/proc/x" }), { code: "MOUNT_FAILED" });
  await assert.rejects(attempt({ guestPath: "/etc/x" }), { code: "MOUNT_FAILED" });
  await assert.rejects(attempt({ id: "no/id" }), { code: "MOUNT_FAILED" });
  await assert.rejects(attempt({ hostPath: path.join(host, "missing") }), { code: "MOUNT_FAILED" });
  const daemon = begin();
  await daemon.attached;
  await assert.rejects(attempt({ id: "other" }), { code: "MOUNT_BUSY" });
  await daemon.leave();
});
