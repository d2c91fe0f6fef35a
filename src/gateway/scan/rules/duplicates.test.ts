import assert from "node:assert/strict";
import { test } from "node:test";
import { scan } from "../../../../test/support/scan-tool.ts";

const scanNames = (...names: string[]) =>
  scan({ tools: names.map((name) => ({ name })) }).filter((found) => found.includes("duplicate"));

test("names that are the same, look the same or nearly so are found", () => {
  assert.deepEqual(scanNames("a_tool", "a_tool"), ["danger duplicate name"]);
  assert.deepEqual(scanNames("readFile", "read_file"), ["warning duplicate name"]);
  assert.deepEqual(scanNames("get_a11", "get_all"), ["danger duplicate name"]);
  assert.deepEqual(scanNames("scope", "ѕсоре"), ["danger duplicate name"]);
  const resources = [
    { uri: "a://b", name: "x" },
    { uri: "a://b", name: "y" },
  ];
  assert.deepEqual(scan({ resources }), ["danger duplicate uri"]);
});

test("other names, and one name for a tool and a prompt, are no finding", () => {
  assert.deepEqual(scanNames("read_file", "read_files", "write_file", "step_1", "step_2", "v10", "v11"), []);
  assert.deepEqual(scan({ tools: [{ name: "plan" }], prompts: [{ name: "plan" }] }), []);
  const resources = [
    { uri: "a://b", name: "x" },
    { uri: "a://B", name: "x" },
  ];
  assert.deepEqual(scan({ resources }), []);
});
