import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

// What is wrong is found before any VM is made: none of these boots one.
let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const write = async (name: string, text: string) => {
  const file = path.join(fixture.folder, name);
  await writeFile(file, text);
  return file;
};
const up = (file: string, ...more: string[]) => fixture.cli(["up", "--config", file, ...more]);
const NO_IMAGE = '[servers.a]\nimage = "no-such-image"\n';

test("a file that cannot be read is told as that", async () => {
  const folder = path.join(fixture.folder, "folder");
  await mkdir(folder);
  for (const [file, exitCode, said] of [
    [
      path.join(fixture.folder, "none.toml"),
      3,
      /there is no .*none\.toml \(HOST_PATH_NOT_FOUND\)\n {2}Name the file with --config/,
    ],
    [folder, 2, /folder: it is a directory, and a file is wanted \(CONFIG_INVALID\)/],
    [await write("bad.toml", "[servers.a]\ncommand = \n"), 2, /bad\.toml:2: .*\(CONFIG_INVALID\)/],
  ] as const) {
    const { exitCode: code, stderr, stdout } = await up(file);
    assert.match(stderr, said);
    assert.deepEqual([code, stdout], [exitCode, ""], file);
  }
});

test("a file without servers says so, and how one is written", async () => {
  const { stdout, exitCode } = await up(await write("empty.toml", ""));
  assert.equal(exitCode, 0);
  assert.match(stdout, /^MCP servers of .*empty\.toml:\n {2}none\. Each is a table \[servers\.NAME\]/);
  assert.doesNotMatch(stdout, /Register/);
  const { stderr } = await fixture.cli(["down", "--config", path.join(fixture.folder, "empty.toml")]);
  assert.match(stderr, /There are no servers of .*empty\.toml: nothing to end/);
});

test("servers that cannot be made ready are told with why and what to do, here and by status", async () => {
  const file = await write("servers.toml", NO_IMAGE);
  const failed = await up(file);
  assert.equal(failed.exitCode, 7);
  assert.match(
    failed.stderr,
    /a: no image is called "no-such-image" \(IMAGE_NOT_FOUND\)\n {2}There are: .*\n {2}Then: firebreak server start a/,
  );
  assert.doesNotMatch(failed.stdout, /Register/);
  const { failures } = JSON.parse((await up(file, "--json")).stdout) as { failures: { error: object }[] };
  assert.deepEqual(Object.keys(failures[0]?.error ?? {}).sort(), ["class", "code", "hint", "message"]);
  assert.match((await fixture.ok("server", "update")).stdout, /^No server has been installed/);
  const { stdout } = await fixture.ok("status");
  assert.match(stdout, /servers +1: 1 failed\n/);
  assert.match(stdout, /\na: no image is called "no-such-image"\n {2}Try again: firebreak server start a/);
});

test("an update that fails keeps no other from its own", async () => {
  const file = await write(
    "two.toml",
    `${NO_IMAGE.replace("servers.a", "servers.one")}${NO_IMAGE.replace("servers.a", "servers.two")}`,
  );
  await up(file);
  const updated = await fixture.cli(["server", "update", "one", "two"]);
  assert.equal(updated.exitCode, 7);
  for (const name of ["one", "two"])
    assert.match(updated.stderr, new RegExp(`^firebreak: ${name}: .*\\(IMAGE_NOT_FOUND\\)$`, "m"));
  assert.equal((await fixture.cli(["server", "update", "one"])).exitCode, 3);
  await fixture.ok("down", "--config", file, "--delete");
});

test("what a file has no more is deleted; servers of a file that is gone can be ended by its name", async () => {
  const file = await write("servers.toml", NO_IMAGE.replace("servers.a", "servers.b"));
  assert.doesNotMatch((await up(file)).stdout, /^a /m);
  await rm(file);
  assert.equal((await fixture.ok("down", "--config", file, "--delete")).stdout, "b\n");
  assert.match((await fixture.ok("status")).stdout, /servers +none/);
});
