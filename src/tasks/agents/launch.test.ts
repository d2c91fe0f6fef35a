import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { AgentRequest, TaskAgent } from "./agent.ts";
import { AGENTS } from "./index.ts";

const request = (over: Partial<AgentRequest> = {}): AgentRequest => ({
  prompt: "--help is $(what) I 'want'",
  argv: undefined,
  model: "some-model",
  maxTurns: undefined,
  maxCostUsd: undefined,
  cwd: "/root/work",
  baseUrl: "http://llm.example:8080/",
  ...over,
});
const agentOf = (name: string) => AGENTS.find((agent) => agent.name === name) as TaskAgent;
const models = AGENTS.filter(({ name }) => name !== "command");
const refuses = (act: () => unknown, message: RegExp) =>
  assert.throws(
    act,
    (error) => error instanceof FirebreakError && error.code === "INVALID_ARGUMENT" && message.test(error.message),
  );

test("the agents have names of their own, and versions that are pinned", () => {
  assert.deepEqual(
    AGENTS.map(({ name }) => name),
    ["claude", "codex", "gemini", "opencode", "copilot", "command"],
  );
  for (const agent of models) assert.match(agent.package?.version ?? "", /^\d+\.\d+\.\d+$/, agent.name);
});

for (const agent of models) {
  test(`${agent.name}: the prompt is one word, which is no flag, and stands nowhere else`, () => {
    const { argv, env, files } = agent.launch(request());
    assert.equal(argv[0], agent.package?.program);
    const last = argv.at(-1) ?? "";
    assert.ok(last === `--prompt=${request().prompt}` || (last === request().prompt && argv.at(-2) === "--"), last);
    assert.equal(argv.filter((word) => word.includes("$(what)")).length, 1);
    assert.ok(!JSON.stringify([env, files]).includes("$(what)"));
  });

  test(`${agent.name}: it is told where the model is, and nothing of a key`, () => {
    const told = JSON.stringify(agent.launch(request()));
    assert.ok(told.includes("http://llm.example:8080"), told);
    assert.ok(!told.includes("8080//"), told);
    for (const { name } of agent.secrets) assert.equal(agent.launch(request()).env[name], undefined);
    assert.ok(told.includes("some-model"), told);
    assert.ok(!JSON.stringify(agent.launch(request({ baseUrl: undefined }))).includes("llm.example"));
  });

  test(`${agent.name}: without a prompt it is not started`, () => {
    for (const prompt of [undefined, "", "  "]) refuses(() => agent.launch(request({ prompt })), /needs a prompt/);
  });

  test(`${agent.name}: it works as root in a home of its own`, () => {
    const { env, files } = agent.launch(request());
    assert.equal(env.HOME, "/root");
    assert.equal(env.IS_SANDBOX, "1");
    for (const file of Object.keys(files)) assert.match(file, /^\/root\//);
  });
}

test("limits are handed on to those that keep to them", () => {
  const limited = request({ maxTurns: 7, maxCostUsd: 0.25 });
  assert.match(agentOf("claude").launch(limited).argv.join(" "), /--max-turns 7 --max-budget-usd 0\.25/);
  assert.match(agentOf("gemini").launch(limited).files["/root/.gemini/settings.json"] ?? "", /"maxSessionTurns":7/);
});

test("those that cannot know a base URL's models want one named", () => {
  for (const name of ["opencode", "copilot"])
    refuses(() => agentOf(name).launch(request({ model: undefined })), /needs a model's name/);
  for (const name of ["claude", "codex", "gemini"]) agentOf(name).launch(request({ model: undefined }));
});

test("a base URL that holds quotes stays a text in Codex's settings", () => {
  const { argv } = agentOf("codex").launch(request({ baseUrl: 'http://x.example/"},evil={a="' }));
  const setting = argv.find((word) => word.startsWith("model_providers.firebreak="));
  assert.ok(setting?.includes('base_url="http://x.example/\\"},evil={a=\\"/v1"'), setting);
});

test("a command is what it is", () => {
  const command = agentOf("command");
  assert.deepEqual(command.launch(request({ argv: ["ls", "-l", "a b"], prompt: undefined })).argv, ["ls", "-l", "a b"]);
  for (const argv of [undefined, [], [""]]) refuses(() => command.launch(request({ argv })), /needs a command/);
});
