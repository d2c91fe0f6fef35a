import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { digestOf } from "../../contract/canonical-json.ts";
import type { InstalledFacts } from "../installed-facts.ts";
import { checkLocked, lockedVersion, planLocked } from "./locked.ts";
import { planInstall } from "./plan.ts";

const packages = [
  { name: "@x/files", version: "1.2.3", digest: "sha512-a" },
  { name: "dep", version: "1.0.0", digest: "sha512-b" },
];
const LOCKED: InstalledFacts = {
  package: "@x/files",
  packageVersion: "1.2.3",
  packageDigest: "sha512-a",
  packagesDigest: `sha256:${digestOf(packages)}`,
};
const plan = planInstall(["npx", "-y", "@x/files"]);
const installed = { argv: [], packages };

test("a package without a version is installed in the one that the lock has", () => {
  for (const [command, facts, spec] of [
    [["npx", "-y", "@x/files"], LOCKED, "@x/files@1.2.3"],
    [["npx", "@x/files@latest"], LOCKED, "@x/files@1.2.3"],
    [["uvx", "Mcp_Server.Git"], { package: "mcp-server-git", packageVersion: "2.0" }, "Mcp_Server.Git==2.0"],
    // What the configuration says itself is what it wants.
    [["npx", "@x/files@2"], LOCKED, "@x/files@2"],
    [["npx", "github:x/files"], LOCKED, "github:x/files"],
    [
      ["uvx", "--from", "git+https://a.test/b", "files"],
      { package: "files", packageVersion: "1" },
      "git+https://a.test/b",
    ],
    [["npx", "@x/other"], LOCKED, "@x/other"],
    [["npx", "@x/files"], undefined, "@x/files"],
  ] as [string[], InstalledFacts | undefined, string][]) {
    const pinned = planLocked(planInstall(command), facts);
    assert.equal(pinned.kind === "none" ? "" : pinned.spec, spec);
  }
  assert.equal(lockedVersion(planInstall(["node", "a.js"]), LOCKED), undefined);
});

test("what the registry has in its place is an error, and what came with it a warning", () => {
  assert.deepEqual(checkLocked("a", plan, installed, LOCKED), []);
  const other = { argv: [], packages: [{ ...packages[0], digest: "sha512-other" }] } as typeof installed;
  assert.throws(() => checkLocked("a", plan, other, LOCKED), hasCode("SERVER_LOCK_UNMET"));
  const moved = {
    argv: [],
    packages: [...packages.slice(0, 1), { name: "dep", version: "1.0.1" }],
  } as typeof installed;
  assert.match(checkLocked("a", plan, moved, LOCKED).join(), /packages_digest/);
  // What another package came with is no matter of the lock.
  assert.deepEqual(checkLocked("a", planInstall(["npx", "@x/files@2"]), other, LOCKED), []);
});
