import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../src/platform/process.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-fc-settings-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const DRIVERS = fileURLToPath(new URL("../../src/daemon/vmm-drivers.ts", import.meta.url));

/** What is logged when Firecracker's settings are read with each of these, by a process of its own: one that waits for good is ended. */
async function readEach(cpuConfigs: string[]): Promise<string[]> {
  const program = `
    import { writeFileSync } from "node:fs";
    import { createDrivers } from ${JSON.stringify(DRIVERS)};
    const configFile = ${JSON.stringify(path.join(folder, "firebreak.toml"))};
    const paths = { home: ${JSON.stringify(folder)}, runtime: ${JSON.stringify(path.join(folder, "run"))} };
    const log = (message, { error }) => console.log(error);
    const { drivers } = createDrivers({ paths, configFile, env: {}, log });
    for (const name of ${JSON.stringify(cpuConfigs)}) {
      writeFileSync(configFile, "[firecracker]\\ncpu_config = " + JSON.stringify(name) + "\\n");
      await drivers.find("firecracker").describeHost("kvm").catch(() => {});
    }
  `;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program];
  return (await runCommand(process.execPath, args, { timeoutMs: 60_000 })).stdout.trim().split("\n");
}

test("a cpu_config that is no file of JSON is told of, and keeps nobody waiting", async () => {
  const pipe = path.join(folder, "pipe");
  await runCommand("mkfifo", [pipe]);
  const large = path.join(folder, "large");
  writeFileSync(large, `{"x":"${"x".repeat(2 * 1024 * 1024)}"}`);
  const list = path.join(folder, "list");
  writeFileSync(list, "[]");
  const all = [pipe, large, folder, "/dev/zero", list, path.join(folder, "none")];
  const said = await readEach(all);
  assert.equal(said.length, all.length);
  for (const [index, words] of said.slice(0, 4).entries())
    assert.ok(words.includes(`${all[index]} cannot be read: it is no file of that kind`), words);
  assert.match(said[4] ?? "", /is no JSON object/);
  assert.match(said[5] ?? "", /cannot be read: ENOENT/);
});
