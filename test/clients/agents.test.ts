import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { TOOLS } from "../../src/mcp/registry.ts";
import { DEFAULT_TOOLSETS, toolsOf } from "../../src/mcp/toolsets.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import type { Agent } from "./agents/agent.ts";
import { checkTools } from "./agents/check-tools.ts";
import { claudeCode } from "./agents/claude-code.ts";
import { codex } from "./agents/codex.ts";
import { type Call, converse } from "./agents/converse.ts";
import { geminiCli } from "./agents/gemini-cli.ts";
import { opencode } from "./agents/opencode.ts";
import { relayPort } from "./offline/relay.ts";

const AGENTS: Agent[] = [claudeCode, codex, geminiCli, opencode];
const VM = "workshop";
/** Where the VM holds a word that is nowhere else. */
const WORD_FILE = "/root/word";
const READ_WORD: Call = { tool: "run_command", args: { vm: VM, command: `cat ${WORD_FILE}` } };

/** One red pixel. */
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const PICTURE_FILE = "/root/picture.png";

let fixture: DaemonFixture;
let word: string;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.vms.create({ name: VM });
  word = randomBytes(12).toString("hex");
  for (const [file, input] of [
    [WORD_FILE, word],
    [PICTURE_FILE, Buffer.from(PICTURE, "base64")],
  ] as const) {
    const write = ["vm", "exec", VM, "--", "sh", "-c", `cat > ${file}`];
    const { exitCode, stderr } = await fixture.cli(write, { input });
    assert.equal(exitCode, 0, stderr);
  }
});
after(() => fixture.close());

/** `firebreak` of the test's installation, wherever it is started: not every agent hands its environment on. */
async function writeProgram(name: string, env: Record<string, string> = {}): Promise<string> {
  const file = path.join(fixture.folder, name);
  const { home } = fixture.paths;
  const all = { FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: path.join(fixture.folder, "run"), ...env };
  const exports = Object.entries(all).map(([key, value]) => `export ${key}='${value}'\n`);
  await writeFile(file, `#!/bin/sh\n${exports.join("")}exec ${fixture.program} "$@"\n`, { mode: 0o755 });
  return file;
}

describe("over stdio, registered as 'firebreak serve mcp' says or by 'firebreak gen-config'", () => {
  for (const agent of AGENTS) {
    test(`${agent.name} runs a command in a VM`, async () => {
      const program = await writeProgram(`firebreak-${agent.program}`);
      const { tools, toolResults } = await converse(agent, {
        calls: [READ_WORD],
        register: (ready) => ready.registerStdio(program),
        folder: fixture.folder,
      });
      assert.ok(toolResults[0]?.includes(word), toolResults[0]);
      checkTools(agent, tools, toolsOf(DEFAULT_TOOLSETS));
    });

    test(`${agent.name} shows its model every tool there is, and why a call has failed`, async () => {
      const program = await writeProgram(`firebreak-all-${agent.program}`, { FIREBREAK_TOOLSETS: "all" });
      const { tools, toolResults } = await converse(agent, {
        calls: [{ tool: "vm_get", args: { vm: "nobody" } }, READ_WORD],
        register: (ready) => ready.registerStdio(program),
        folder: fixture.folder,
      });
      assert.match(toolResults[0] ?? "", /VM_NOT_FOUND/);
      assert.ok(toolResults[1]?.includes(word), toolResults[1]);
      checkTools(agent, tools, TOOLS);
    });

    test(`${agent.name} shows its model a picture that is in a VM`, async () => {
      const program = await writeProgram(`firebreak-picture-${agent.program}`);
      const { body, toolResults } = await converse(agent, {
        calls: [{ tool: "file_read", args: { vm: VM, path: PICTURE_FILE } }],
        register: (ready) => ready.generateConfig(program),
        folder: fixture.folder,
      });
      assert.ok(body.includes(PICTURE), toolResults[0]);
    });
  }
});

describe("MCP servers that run in VMs of their own", () => {
  const SERVER = "shell";
  /** The machine's name says where that runs. */
  const args = { command: 'echo "on $(uname -n), $((6 * 7))"' };
  const answer = /on mcp-shell, 42/;
  let endpoint: URL;
  let key: string;
  let relay: Awaited<ReturnType<typeof relayPort>>;
  const socketPath = () => path.join(fixture.folder, "servers.sock");
  before(async () => {
    const file = path.join(fixture.folder, "firebreak.toml");
    const command = JSON.stringify(["node", "-e", SHELL_PROGRAM]);
    await writeFile(file, `[servers.${SERVER}]\ncommand = ${command}\n`);
    const up = await fixture.cli(["up", "--config", file], { timeoutMs: 300_000 });
    assert.equal(up.exitCode, 0, up.stderr);
    ({ key } = await fixture.json<{ key: string }>("key", "create", "servers"));
    if ((await fixture.client.status()).listen?.url === undefined)
      await fixture.client.listen({ address: "127.0.0.1:0" });
    endpoint = new URL("/", (await fixture.client.status()).listen?.url);
    relay = await relayPort(Number(endpoint.port), socketPath());
  });
  after(async () => {
    await relay?.close();
    await fixture.cli(["server", "delete", SERVER]);
  });

  for (const agent of AGENTS) {
    test(`${agent.name} calls a tool of one, over stdio`, async () => {
      const program = await writeProgram(`firebreak-server-${agent.program}`);
      const { tools, toolResults } = await converse(agent, {
        calls: [{ tool: "sh", args }],
        register: (ready) => ready.generateConfig(program, "--server", SERVER, "--name", "firebreak"),
        folder: fixture.folder,
      });
      assert.match(toolResults[0] ?? "", answer);
      checkTools(agent, tools, [{ name: "sh" }]);
    });

    test(`${agent.name} calls a tool of one at the endpoint of all, over HTTP`, async () => {
      const program = await writeProgram(`firebreak-servers-${agent.program}`);
      const { tools, toolResults } = await converse(agent, {
        calls: [{ tool: `${SERVER}__sh`, args }],
        register: (ready) => ready.generateConfig(program, "--transport", "http", "--url", endpoint.href),
        folder: fixture.folder,
        doors: [{ port: Number(endpoint.port), socketPath: socketPath() }],
        env: { FIREBREAK_API_KEY: key },
      });
      assert.match(toolResults[0] ?? "", answer);
      checkTools(agent, tools, [...toolsOf(DEFAULT_TOOLSETS), { name: `${SERVER}__sh` }]);
    });
  }
});

describe("over HTTP with an API key, by 'firebreak gen-config'", () => {
  let endpoint: URL;
  let key: string;
  let relay: Awaited<ReturnType<typeof relayPort>>;
  const socketPath = () => path.join(fixture.folder, "http.sock");
  before(async () => {
    key = (JSON.parse((await fixture.cli(["key", "create", "agents", "--json"])).stdout) as { key: string }).key;
    if ((await fixture.client.status()).listen?.url === undefined)
      await fixture.client.listen({ address: "127.0.0.1:0" });
    endpoint = new URL("/mcp", (await fixture.client.status()).listen?.url);
    relay = await relayPort(Number(endpoint.port), socketPath());
  });
  after(() => relay.close());

  for (const agent of AGENTS) {
    test(`${agent.name} runs a command in a VM`, async () => {
      const program = await writeProgram(`firebreak-http-${agent.program}`);
      const { tools, toolResults } = await converse(agent, {
        calls: [READ_WORD],
        register: (ready) => ready.generateConfig(program, "--transport", "http", "--url", new URL("/", endpoint).href),
        folder: fixture.folder,
        doors: [{ port: Number(endpoint.port), socketPath: socketPath() }],
        env: { FIREBREAK_API_KEY: key },
      });
      assert.ok(toolResults[0]?.includes(word), toolResults[0]);
      checkTools(agent, tools, toolsOf(DEFAULT_TOOLSETS));
    });
  }
});
