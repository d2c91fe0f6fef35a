import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { ToolRegistry } from "./registry.ts";
import { DEFAULT_TOOLSETS, parseToolsets, TOOLSET_NAMES, TOOLSETS, toolsOf } from "./toolsets.ts";

/** Folders of what is not a tool. */
const NO_TOOLSETS = new Set(["stdio", "http", "sse", "resources", "prompts", "conformance", "bridge"]);

describe("toolsets", () => {
  test("are asked for by name, in any order, and listed in one", () => {
    assert.deepEqual(parseToolsets("vm, guest"), ["guest", "vm"]);
    assert.deepEqual(parseToolsets("all"), TOOLSET_NAMES);
    assert.deepEqual(parseToolsets("vm,all"), TOOLSET_NAMES);
    for (const list of [undefined, "", " "]) assert.deepEqual(parseToolsets(list), DEFAULT_TOOLSETS);
  });

  test("that do not exist are refused, with the nearest that does", () => {
    for (const [list, hint] of [
      ["vm,gest", /^Did you mean 'guest'\? There are guest, vm, /],
      ["weather", /^There are guest, vm, /],
      ["vm,", /^There are guest, vm, /],
      ["constructor", /^There are guest, vm, /],
    ] as const) {
      const refused = (error: unknown) =>
        error instanceof FirebreakError && error.code === "INVALID_ARGUMENT" && hint.test(error.hint ?? "");
      assert.throws(() => parseToolsets(list), refused, list);
    }
  });

  test("are the folders: each tool has a file of its name in that of its toolset", () => {
    for (const name of TOOLSET_NAMES) {
      const files = readdirSync(path.join(import.meta.dirname, name));
      for (const tool of TOOLSETS[name])
        assert.ok(files.includes(`${tool.name.replaceAll("_", "-")}.ts`), `${name}/${tool.name}`);
    }
    const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const names = folders.map((entry) => entry.name).filter((name) => !NO_TOOLSETS.has(name));
    assert.deepEqual(
      names.filter((name) => !Object.hasOwn(TOOLSETS, name)),
      [],
    );
  });

  test("whoever asks for a tool of one that is not served hears of it", () => {
    const registry = new ToolRegistry(toolsOf(["vm"]));
    assert.match(registry.explainMissing("template_list"), /of the toolset 'template'.*--toolsets template/);
    assert.match(registry.explainMissing("vm_lst"), /did you mean 'vm_list'\?/);
    assert.match(registry.explainMissing("nonsense"), /^no tool is named 'nonsense'; there are vm_create, /);
  });
});
