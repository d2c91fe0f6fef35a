import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

const INSPECTOR = path.join(import.meta.dirname, "node_modules", ".bin", "mcp-inspector");
const DEADLINE_MS = 120_000;
const VM = "looked-at";

let fixture: DaemonFixture;
let url: string;
let key: string;
before(async () => {
  fixture = await startDaemonFixture();
  ({ key } = await fixture.client.keys.create({ name: "inspector" }));
  await fixture.client.listen({ address: "127.0.0.1:0" });
  url = `${(await fixture.client.status()).listen?.url}/mcp`;
  await fixture.client.vms.create({ name: VM });
});
after(() => fixture.close());

interface Target {
  name: string;
  words: () => string[];
}
const TARGETS: Target[] = [
  { name: "over HTTP", words: () => [url, "--transport", "http", "--header", `Authorization: Bearer ${key}`] },
  { name: "on stdio", words: () => [...serverEnv(), fixture.program, "serve", "mcp"] },
  { name: "through the bridge", words: () => [...serverEnv(), fixture.program, "mcp-bridge"] },
];

/** The Inspector hands its servers next to nothing of its own environment. */
const serverEnv = () =>
  ["FIREBREAK_HOME", "FIREBREAK_RUNTIME_DIR"].flatMap((name) => ["-e", `${name}=${fixture.env[name]}`]);

/** Runs the Inspector, with a home folder of the test's own. */
async function inspect(target: Target, era: string, args: string[]) {
  const words = [INSPECTOR, "--cli", ...target.words(), "--protocol-era", era, "--format", "json", ...args];
  const child = spawn(process.execPath, words, {
    env: { ...fixture.env, HOME: fixture.folder, MCP_CATALOG_PATH: path.join(fixture.folder, "catalog.json") },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: DEADLINE_MS,
  });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number]>,
  ]);
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  return (JSON.parse(stdout) as { result: Record<string, unknown> }).result;
}

for (const era of ["legacy", "modern"]) {
  for (const target of TARGETS) {
    describe(`the MCP Inspector ${target.name}, ${era}`, () => {
      test("lists tools, and finds that clients can use their schemas", async () => {
        const { tools } = (await inspect(target, era, ["--method", "tools/list", "--strict"])) as {
          tools: { name: string }[];
        };
        for (const name of ["run_command", "file_read", "vm_create", "snapshot_create"])
          assert.ok(
            tools.some((tool) => tool.name === name),
            name,
          );
      });

      test("calls run_command", async () => {
        const args = JSON.stringify({ vm: VM, command: "echo seen by $(hostname)" });
        const call = ["--method", "tools/call", "--tool-name", "run_command", "--tool-args-json", args];
        const { structuredContent } = await inspect(target, era, call);
        assert.equal((structuredContent as { stdout: string }).stdout, `seen by ${VM}\n`);
      });

      test("lists and reads resources, and gets a prompt", async () => {
        const { resources } = (await inspect(target, era, ["--method", "resources/list"])) as {
          resources: { uri: string }[];
        };
        assert.ok(resources.some(({ uri }) => uri === `firebreak://vms/${VM}/console`));
        const read = await inspect(target, era, ["--method", "resources/read", "--uri", `firebreak://vms/${VM}`]);
        assert.match(JSON.stringify(read), /running/);
        const prompt = ["--method", "prompts/get", "--prompt-name", "debug_crashed_vm", "--prompt-args", `vm=${VM}`];
        assert.match(JSON.stringify(await inspect(target, era, prompt)), new RegExp(VM));
      });
    });
  }
}
