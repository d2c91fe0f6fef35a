import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import type { Task } from "../../src/contract/task.ts";
import type { Workspace } from "../../src/contract/workspace.ts";
import { type DaemonFixture, runProgram, startDaemonFixture } from "../support/daemon-fixture.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

/** A directory of this host with files; a repository with one commit of them unless that is not wanted. */
async function makeDirectory(name: string, isRepository: boolean): Promise<string> {
  const directory = path.join(fixture.folder, name);
  await mkdir(directory);
  await writeFile(path.join(directory, "kept.txt"), "one\ntwo\nthree\n");
  await writeFile(path.join(directory, "gone.txt"), "gone\n");
  await writeFile(path.join(directory, ".gitignore"), "*.log\n");
  const git = async (...args: string[]) => {
    const who = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    const { exitCode, stderr } = await runProgram("git", ["-C", directory, ...who, ...args], {});
    assert.equal(exitCode, 0, stderr);
  };
  if (isRepository) {
    await git("init", "--quiet");
    await git("add", ".");
    await git("commit", "--quiet", "-m", "first");
  }
  return directory;
}

async function runIn(directory: string, script: string) {
  const argv = ["sh", "-c", script];
  const { id } = await fixture.client.tasks.create({ agent: "command", argv, workspace: { directory } });
  const task = await fixture.client.tasks.wait(id, 180_000);
  assert.equal(task.state, "completed", JSON.stringify(task));
  return { id, names: (task.files ?? []).map((file) => file.path) };
}

test("what a task changes in a repository, commits or not, is a diff among its files", async () => {
  const directory = await makeDirectory("repository", true);
  const script = `
    git -c user.name=A -c user.email=a@example.com rm --quiet gone.txt && git -c user.name=A -c user.email=a@example.com commit --quiet -m second
    sed -i s/two/TWO/ kept.txt; echo new > new.txt; echo noise > noise.log; git status --short > /root/output/status.txt`;
  const { id, names } = await runIn(directory, script);
  assert.deepEqual(names, ["status.txt", "workspace.diff"]);
  const diff = await text(await fixture.client.tasks.readFile(id, "workspace.diff"));
  for (const line of ["-two", "+TWO", "deleted file mode 100644", "+++ b/new.txt", "+new"])
    assert.ok(diff.split("\n").includes(line), `${line} in ${diff}`);
  assert.doesNotMatch(diff, /noise/);
  const status = await text(await fixture.client.tasks.readFile(id, "status.txt"));
  assert.equal(status, " M kept.txt\n?? new.txt\n", "its own index is left alone");
});

test("there is none where nothing changes, where there is no repository, and in the place of the task's own", async () => {
  const repository = await makeDirectory("same", true);
  assert.deepEqual((await runIn(repository, "true")).names, []);
  assert.deepEqual((await runIn(await makeDirectory("plain", false), "echo x > kept.txt")).names, []);
  const { id } = await runIn(repository, "echo x > kept.txt; echo mine > /root/output/workspace.diff");
  assert.equal(await text(await fixture.client.tasks.readFile(id, "workspace.diff")), "mine\n");
});

test("what has come back into a directory of this host is told at the end of the task", async () => {
  const directory = await makeDirectory("told", false);
  const { stderr } = await fixture.ok("task", "run", "--workspace", directory, "--", "touch", "made");
  assert.match(stderr, /^workspace: 1 created, 0 updated, 0 deleted in .*told$/m);
  const { stdout } = await fixture.ok("task", "run", "--json", "--workspace", directory, "--", "rm", "made");
  const { workspace, ...task } = JSON.parse(stdout) as Task & { workspace: Workspace };
  assert.deepEqual(
    [task.state, workspace.state, workspace.report?.changes],
    ["completed", "synced", [{ path: "made", change: "deleted" }]],
  );
  const kept = await fixture.ok("task", "run", "--keep-vm", "always", "--workspace", directory, "--", "touch", "later");
  assert.match(kept.stderr, /^workspace: its VM is kept.*: firebreak workspace pull task-/m);
});
