import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { runSuite } from "./suite.ts";

const EXPECTED = path.join(import.meta.dirname, "expected-failures.yml");

let fixture: DaemonFixture;
let server: ChildProcess;
let url: string;
before(async () => {
  fixture = await startDaemonFixture();
  server = spawn(fixture.program, ["serve", "mcp", "--conformance-fixtures"], {
    env: fixture.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.ok(server.stdout);
  [url] = (await once(createInterface(server.stdout), "line")) as [string];
});
after(async () => {
  server.kill("SIGTERM");
  await once(server, "exit");
  await fixture.close();
});

describe("the protocol's conformance suite passes", () => {
  for (const [name, args, least] of [
    ["all that revision 2026-07-28 requires", ["--requirements", "2026-07-28"], 37],
    ["all that revision 2025-11-25 requires", ["--requirements", "2025-11-25"], 30],
    ["all that is tested of revision 2025-11-25", ["--spec-version", "2025-11-25"], 31],
  ] as const) {
    test(name, async () => {
      const { exitCode, output } = await runSuite(url, [...args, "--expected-failures", EXPECTED], fixture.folder);
      assert.equal(exitCode, 0, output);
      // A run of nothing would pass as well.
      const passed = output.match(/^✓ [\w-]+: [1-9]\d* passed, 0 failed/gm) ?? [];
      assert.ok(passed.length >= least, output);
    });
  }

  // Which the requirements leave out.
  for (const [scenario, revision] of [
    ["server-sse-polling", "2025-11-25"],
    ["json-schema-2020-12", "2026-07-28"],
    ["http-header-validation", "2026-07-28"],
  ] as const) {
    test(`${scenario}, of revision ${revision}`, async () => {
      const { exitCode, output } = await runSuite(
        url,
        ["--scenario", scenario, "--spec-version", revision],
        fixture.folder,
      );
      assert.equal(exitCode, 0, output);
      assert.match(output, /Passed: \d+\/\d+, 0 failed|[1-9]\d* passed, 0 failed/);
    });
  }
});
