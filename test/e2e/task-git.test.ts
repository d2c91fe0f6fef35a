import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type GitServer, openGitServer } from "../support/git-server.ts";
import { writeHostTrust } from "../support/model-host.ts";

/** Tasks that work on a repository, which is cloned in their VMs. */

let fixture: DaemonFixture;
let git: GitServer;
let policy: string;
let url: string;
const commits: Record<"first" | "main" | "branch", string> = { first: "", main: "", branch: "" };
before(async () => {
  fixture = await startDaemonFixture();
  git = await openGitServer("git.test");
  commits.first = git.commit("project", { "what.txt": "the first\n" });
  commits.branch = git.commit("project", { "what.txt": "of a branch\n" }, "feature/one");
  commits.main = git.commit("project", { "what.txt": "the latest\n" });
  const trust = path.join(fixture.folder, "trust.pem");
  await writeHostTrust(trust);
  await writeFile(path.join(fixture.paths.home, "firebreak.toml"), `[network]\ntrust = ["${trust}"]\n`);
  // The one thing that is not as users have it: the host's name leads here.
  policy = path.join(fixture.folder, "policy.json");
  const ports = String(git.port);
  const network = {
    mode: "allowlist",
    allow: [{ host: "git.test", ports, private: true }],
    hosts: { "git.test": "127.0.0.1" },
  };
  await writeFile(policy, JSON.stringify(network));
  url = `https://git.test:${ports}/project.git`;
});
after(async () => {
  git?.close();
  await fixture.close();
});

const runAt = (place: string) =>
  fixture.cli([
    "task",
    "run",
    "--policy",
    policy,
    "--git",
    place,
    "--",
    "sh",
    "-c",
    "pwd; git rev-parse HEAD; git branch --show-current; cat what.txt",
  ]);

test("a repository is there at its newest commit, a branch, a commit", async () => {
  for (const [ref, commit, branch, what] of [
    ["", commits.main, "main", "the latest"],
    ["#feature/one", commits.branch, "feature/one", "of a branch"],
    [`#${commits.first}`, commits.first, "", "the first"],
  ]) {
    const { exitCode, stdout, stderr } = await runAt(`${url}${ref}`);
    assert.deepEqual(
      [exitCode, stdout],
      [0, `/workspace\n${commit}\n${branch === "" ? "" : `${branch}\n`}${what}\n`],
      `${ref}: ${stderr}`,
    );
  }
});

test("one that is not there is told of, and the task does not begin again", async () => {
  for (const [place, message] of [
    [`${url}#nowhere`, /failed: the repository could not be fetched: .*nowhere.*no branch, tag or commit 'nowhere'/s],
    [url.replace("project", "none"), /failed: the repository could not be fetched: .*none.*without a password/s],
    ["https://none.test/project.git", /failed: the repository could not be fetched: .*does not reach none\.test/s],
  ] as const) {
    const { exitCode, stdout, stderr } = await runAt(place);
    assert.deepEqual([exitCode, stdout], [1, ""], stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /it begins again/);
  }
});
