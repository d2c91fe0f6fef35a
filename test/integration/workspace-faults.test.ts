import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { fakeGuest, packEntries } from "../support/fake-guest.ts";
import { AFTER, BEFORE } from "../support/workspace-pull.ts";
import { openWorkspaceService, readFiles, VM, writeFiles } from "../support/workspace-service.ts";

const CHILD = path.resolve("test/support/workspace-pull.ts");

/** A workspace that has been pushed, in a folder of its own. */
async function prepare(parent: string): Promise<{ folder: string; host: string; state: string }> {
  const folder = mkdtempSync(path.join(parent, "case-"));
  const [host, state] = [path.join(folder, "host"), path.join(folder, "state")];
  writeFiles(host, BEFORE);
  const { open, close } = openWorkspaceService(state);
  await open().push(VM, fakeGuest(), { directory: host }, {});
  close();
  return { folder, host, state };
}

const pull = (folder: string, at: number) =>
  spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, folder, String(at)], {
    encoding: "utf8",
  });

const withoutFolders = (files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).filter(([, content]) => content !== "/"));

test("a daemon that is killed before any change of a pull leaves a directory that is as it was, or that the next one finishes", async () => {
  const parent = mkdtempSync(path.join(os.tmpdir(), "fb-wsf-"));
  try {
    const whole = await prepare(parent);
    const calls = Number(pull(whole.folder, 0).stdout);
    assert.deepEqual(withoutFolders(readFiles(whole.host)), AFTER);
    assert.ok(calls > 10, String(calls));
    let finished = 0;
    for (let at = 1; at <= calls; at++) {
      const { folder, host, state } = await prepare(parent);
      assert.equal(pull(folder, at).signal, "SIGKILL", `at ${at}`);
      for (const [name, content] of Object.entries(withoutFolders(readFiles(host)))) {
        const isTemporary = path.basename(name).startsWith(".firebreak-tmp-");
        const wholes = [BEFORE[name as keyof typeof BEFORE], AFTER[name as keyof typeof AFTER]];
        assert.ok(isTemporary || wholes.includes(content), `${name} is half made at ${at}`);
      }
      const { store, open, close } = openWorkspaceService(state);
      const wasDecided = store.get(VM.id)?.state === "applying";
      const next = open();
      const { cutOff } = await next.recover();
      // A daemon's start does not wait for it.
      if (wasDecided) assert.equal(store.get(VM.id)?.state, "applying", `at ${at}`);
      await cutOff;
      const found = withoutFolders(readFiles(host));
      if (wasDecided || at > calls - 3) {
        finished++;
        assert.deepEqual(found, AFTER, `at ${at}`);
        assert.equal(store.get(VM.id)?.state, "synced", `at ${at}`);
      } else {
        assert.deepEqual(found, BEFORE, `at ${at}`);
        assert.equal(store.get(VM.id)?.state, "open", `at ${at}`);
        // The VM can be asked again, and nothing of the first attempt is in the way.
        const archive = packEntries(Object.entries(AFTER).map(([name, content]) => ({ path: name, content })));
        await next.pull(
          VM,
          fakeGuest(() => archive),
          {},
          {},
        );
        assert.deepEqual(withoutFolders(readFiles(host)), AFTER, `at ${at}`);
      }
      assert.deepEqual(readdirSync(path.join(state, "workspaces", VM.id)), ["base.json"], `at ${at}`);
      close();
    }
    assert.ok(finished > 5, String(finished));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

test("a full disk of the host stops a pull with a code, whole files and a way on", {
  skip: process.getuid?.() === 0 ? false : "mounting a tmpfs needs root",
}, async () => {
  const parent = mkdtempSync(path.join(os.tmpdir(), "fb-wsd-"));
  const [host, state] = [path.join(parent, "host"), path.join(parent, "state")];
  mkdirSync(host);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", host]);
  const { store, open, close } = openWorkspaceService(state);
  try {
    writeFiles(host, { small: "1" });
    const service = open();
    await service.push(VM, fakeGuest(), { directory: host }, {});
    const big = "x".repeat(700_000);
    const entries = ["a", "b", "c", "d"].map((name) => ({ path: name, content: `${big}${name}` }));
    const archive = packEntries([...entries, { path: "small", content: "2" }]);
    const full = (error: unknown) => error instanceof FirebreakError && error.code === "HOST_DISK_FULL";
    await assert.rejects(
      service.pull(
        VM,
        fakeGuest(() => archive),
        {},
        {},
      ),
      full,
    );
    for (const [name, content] of Object.entries(readFiles(host)))
      assert.ok(name === "small" ? ["1", "2"].includes(content) : content === `${big}${name}`, name);
    assert.equal(store.get(VM.id)?.state, "applying");
    assert.match(store.get(VM.id)?.reason ?? "", /no space/);
    await assert.rejects(
      service.push(
        VM,
        fakeGuest(() => archive),
        {},
        {},
      ),
      (error: unknown) => error instanceof FirebreakError && error.code === "WORKSPACE_STATE_CONFLICT",
    );
    execFileSync("mount", ["-o", "remount,size=20m", host]);
    await service.pull(
      VM,
      fakeGuest(() => archive),
      {},
      {},
    );
    assert.deepEqual(Object.keys(readFiles(host)).sort(), ["a", "b", "c", "d", "small"]);
  } finally {
    close();
    execFileSync("umount", [host]);
    rmSync(parent, { recursive: true, force: true });
  }
});

test("a full disk of the daemon's own changes nothing of the directory", {
  skip: process.getuid?.() === 0 ? false : "mounting a tmpfs needs root",
}, async () => {
  const parent = mkdtempSync(path.join(os.tmpdir(), "fb-wsd-"));
  const [host, state] = [path.join(parent, "host"), path.join(parent, "state")];
  mkdirSync(state);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", state]);
  const { open, close } = openWorkspaceService(state);
  try {
    writeFiles(host, { small: "1" });
    const service = open();
    await service.push(VM, fakeGuest(), { directory: host }, {});
    const archive = packEntries([{ path: "big", content: "x".repeat(4_000_000) }]);
    await assert.rejects(
      service.pull(
        VM,
        fakeGuest(() => archive),
        {},
        {},
      ),
      (error: unknown) =>
        (error as NodeJS.ErrnoException).code === "ENOSPC" || (error as FirebreakError).code === "HOST_DISK_FULL",
    );
    assert.deepEqual(readFiles(host), { small: "1" });
    assert.deepEqual(readdirSync(path.join(state, "workspaces", VM.id)), ["base.json"]);
  } finally {
    close();
    execFileSync("umount", [state]);
    rmSync(parent, { recursive: true, force: true });
  }
});
