import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { readFirebreakToml } from "../../gateway/config/firebreak-toml.ts";
import type { AgentRequest } from "./agent.ts";
import { readAgents } from "./custom.ts";
import { AGENTS } from "./index.ts";

const read = (text: string) => readAgents(readFirebreakToml(text, "f.toml"));
const only = (text: string) => {
  const [agent, ...more] = read(text).slice(AGENTS.length);
  assert.ok(agent !== undefined && more.length === 0);
  return agent;
};
const request = (over: Partial<AgentRequest> = {}): AgentRequest => ({
  prompt: "do {model}; $(it)",
  argv: undefined,
  model: undefined,
  maxTurns: undefined,
  maxCostUsd: undefined,
  cwd: "/root/w",
  baseUrl: undefined,
  ...over,
});

test("a file without agents has the built-in ones", () => {
  assert.deepEqual(read(""), AGENTS);
  assert.deepEqual(read("[agents]\n"), AGENTS);
});

test("an agent of one's own has a command with placeholders, which no shell looks at", () => {
  const agent = only(`[agents.aider]
title = "Aider"
command = ["aider", "--yes", "--model={model}", "--dir", "{cwd}", "--message", "{prompt}"]
package = "@scope/aider@1.2.3"
model = "gpt-5"
env = { A = "b" }
hosts = ["api.example"]
secrets = ["A_KEY", { name = "B_KEY", hosts = ["b.example:8443"] }]
memory = "2G"
format = "codex"
`);
  const { argv, env, files } = agent.launch(request());
  assert.deepEqual(argv, ["aider", "--yes", "--model=gpt-5", "--dir", "/root/w", "--message", "do {model}; $(it)"]);
  assert.deepEqual([env.A, env.HOME, files], ["b", "/root", {}]);
  assert.deepEqual(agent.package, {
    registry: "npm",
    name: "@scope/aider",
    version: "1.2.3",
    program: "aider",
    needsNode: true,
  });
  assert.deepEqual(agent.secrets, [
    { name: "A_KEY", hosts: ["api.example"] },
    { name: "B_KEY", hosts: ["b.example:8443"] },
  ]);
  assert.deepEqual([agent.name, agent.title, agent.memoryMib, agent.hosts], ["aider", "Aider", 2048, ["api.example"]]);
  assert.equal(agent.createReader?.().line('{"type":"thread.started","thread_id":"t"}')[0]?.type, "started");
  assert.deepEqual(agent.launch(request({ model: "o3" })).argv[2], "--model=o3");
});

test("what a command needs and a task does not name is refused when it is started", () => {
  const agent = only('[agents.x]\ncommand = ["x", "{model}", "{base_url}", "{prompt}"]\n');
  const refuses = (over: Partial<AgentRequest>, message: RegExp) =>
    assert.throws(
      () => agent.launch(request(over)),
      (error) => error instanceof FirebreakError && error.code === "INVALID_ARGUMENT" && message.test(error.message),
    );
  refuses({ baseUrl: "http://a" }, /x needs a model/);
  refuses({ model: "m" }, /x needs a base URL/);
  refuses({ model: "m", baseUrl: "http://a", prompt: "" }, /x needs a prompt/);
  assert.equal(agent.createReader, undefined);
});

test("an agent whose command has no place for a model takes none, unless its output may need the name for a price", () => {
  const takesNone = (line: string, more = "") => only(`[agents.x]\ncommand = ${line}\n${more}`).takesNoModel ?? false;
  assert.equal(takesNone('["x", "{prompt}"]'), true);
  assert.equal(takesNone('["x", "--model={model}", "{prompt}"]'), false);
  assert.equal(takesNone('["x", "{prompt}"]', 'format = "claude"\n'), false);
});

test("a built-in agent with another version, at another place", () => {
  const agent = only(`[agents.corp]
extends = "claude"
version = "2.1.400"
base_url = "https://llm.example:8443/claude"
model = "opus"
memory = 3000
env = { CLAUDE_CODE_MAX_RETRIES = "9" }
`);
  const claude = AGENTS.find(({ name }) => name === "claude");
  assert.deepEqual(agent.package, { ...claude?.package, version: "2.1.400" });
  assert.deepEqual(agent.hosts, [{ host: "llm.example", private: true, ports: "8443" }]);
  assert.deepEqual(agent.secrets, [{ name: "ANTHROPIC_API_KEY", hosts: ["llm.example:8443"] }]);
  assert.equal(agent.memoryMib, 3000);
  const { argv, env } = agent.launch(request());
  assert.equal(env.ANTHROPIC_BASE_URL, "https://llm.example:8443/claude");
  assert.equal(env.CLAUDE_CODE_MAX_RETRIES, "9");
  assert.ok(argv.join(" ").includes("--model opus"), argv.join(" "));
  assert.equal(agent.launch(request({ baseUrl: "http://other" })).env.ANTHROPIC_BASE_URL, "http://other");
  assert.notEqual(agent.createReader, undefined);
});

test("hosts and secrets of one's own take the place of those of the agent that is extended", () => {
  const agent = only('[agents.corp]\nextends = "codex"\nhosts = ["a.example"]\nsecrets = ["OPENAI_API_KEY"]\n');
  assert.deepEqual(agent.hosts, ["a.example"]);
  assert.deepEqual(agent.secrets, [{ name: "OPENAI_API_KEY", hosts: ["a.example"] }]);
});

test("what is wrong is told with file, line and key", () => {
  const own = '[agents.x]\ncommand = ["x", "{prompt}"]\n';
  const extended = '[agents.x]\nextends = "claude"\n';
  for (const [text, message] of [
    ["[agent.x]\n", /^f\.toml:1: there is no key 'agent', did you mean 'agents'\?/],
    ["agents = 1\n", /^f\.toml:1: agents: a table of agents is wanted/],
    ["[agents.claude]\n", /^f\.toml:1: agents\.claude: there is a built-in agent of that name/],
    ["[agents.Big]\n", /^f\.toml:1: agents\.Big: an agent's name/],
    // No task could name it.
    [`[agents.${"a".repeat(33)}]\n`, /an agent's name is made of .* at most 32/],
    ["[agents.x]\nmodel = 'm'\n", /^f\.toml:1: agents\.x: it has neither a command nor/],
    [`${own}modell = 'm'\n`, /^f\.toml:3: there is no key 'agents\.x\.modell', did you mean 'model'\?/],
    ['[agents.x]\ncommand = "x {prompt}"\n', /^f\.toml:2: agents\.x\.command: a list of a program/],
    ['[agents.x]\ncommand = ["x"]\n', /^f\.toml:2: agents\.x\.command: none of its words has \{prompt\}/],
    ['[agents.x]\ncommand = ["x", "{prompt}", "{modle}"]\n', /its word 3 is \{modle\}: did you mean \{model\}\?/],
    [`${own}package = "x@latest"\n`, /^f\.toml:3: agents\.x\.package: an npm package is wanted, with its version/],
    [`${own}package = "../x@1.0.0"\n`, /agents\.x\.package: an npm package/],
    [`${own}version = "1.0.0"\n`, /^f\.toml:3: agents\.x\.version: it stands behind the package's name/],
    [`${own}program = "y"\n`, /^f\.toml:3: agents\.x\.program: it is that of a package/],
    [`${own}memory = "much"\n`, /^f\.toml:3: agents\.x\.memory: 'much' is not a size/],
    [`${own}memory = 0\n`, /agents\.x\.memory: '0' is not a size/],
    [`${own}format = "json"\n`, /^f\.toml:3: agents\.x\.format: it is one of lines, claude, codex/],
    [`${own}secrets = ["a b"]\n`, /^f\.toml:3: agents\.x\.secrets\[0\]/],
    [`${own}env = { A = 1 }\n`, /^f\.toml:3: agents\.x\.env\.A/],
    [`${own}base_url = "ftp://x"\n`, /^f\.toml:3: agents\.x\.base_url: a URL with http/],
    [`${own}base_url = "https://u:p@x.example"\n`, /base_url: it has no user, password/],
    [`${own}base_url = "https://x.example/v1/"\n`, /base_url: it is without the version's path/],
    [
      '[agents.x]\nextends = "claud"\n',
      /^f\.toml:2: agents\.x\.extends: there is no built-in agent 'claud', did you mean 'claude'\?/,
    ],
    ['[agents.x]\nextends = "command"\n', /extends: there is no built-in agent 'command'/],
    [`${extended}command = ["x"]\n`, /^f\.toml:3: agents\.x\.command: it is that of 'claude'/],
    [`${extended}format = "codex"\n`, /^f\.toml:3: agents\.x\.format: it is that of 'claude'/],
    [`${extended}version = "latest"\n`, /^f\.toml:3: agents\.x\.version: a version is wanted/],
  ] as const)
    assert.throws(
      () => read(text),
      (error) =>
        error instanceof FirebreakError &&
        error.code === "CONFIG_INVALID" &&
        (message.test(error.message) || assert.fail(error.message)),
      text,
    );
});
