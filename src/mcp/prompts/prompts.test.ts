import assert from "node:assert/strict";
import { test } from "node:test";
import { TOOLSET_NAMES, toolsOf } from "../toolsets.ts";
import { getPrompt, PROMPTS } from "./prompts.ts";

const filled = (name: string) =>
  Object.fromEntries((PROMPTS.find((prompt) => prompt.name === name)?.arguments ?? []).map(({ name }) => [name, "x1"]));

test("each prompt says what it was given, and names tools that there are", () => {
  const tools = new Set(toolsOf(TOOLSET_NAMES).map(({ name }) => name));
  for (const { name } of PROMPTS) {
    const [message] = getPrompt(name, filled(name)).messages;
    const text = message?.content.type === "text" ? message.content.text : "";
    assert.match(text, /x1/);
    for (const [word] of text.matchAll(/\b(?:vm|file|snapshot|run|command)_[a-z]+\b/g))
      assert.ok(tools.has(word), word);
  }
});

test("a prompt that does not exist, an argument too many and one too few are refused", () => {
  assert.throws(() => getPrompt("nonsense"), /there are set_up_project, /);
  assert.throws(() => getPrompt("debug_crashed_vm", {}), /'vm' is missing/);
  assert.throws(() => getPrompt("debug_crashed_vm", { vm: "web", name: "x" }), /no argument 'name'/);
});
