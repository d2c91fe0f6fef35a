import assert from "node:assert/strict";
import { fullName, type OfferedTool } from "../../fakes/model-api/model-api.ts";
import type { Agent } from "./agent.ts";

/** What some providers refuse at the top of a tool's schema. */
const REFUSED_KEYS = ["oneOf", "anyOf", "allOf", "not", "enum", "$ref"];

/** firebreak's tools are all shown to the model, under names and with schemas that every provider takes. */
export function checkTools(agent: Agent, offered: OfferedTool[], expected: readonly { name: string }[]): void {
  const byName = new Map(offered.map((tool) => [fullName(tool), tool]));
  for (const { name } of expected) {
    const full = fullName(agent.shown(name));
    const tool = byName.get(full);
    assert.ok(tool, `${agent.name} does not show ${full}; it shows ${[...byName.keys()].join(" ")}`);
    assert.match(full, /^[A-Za-z0-9_-]{1,64}$/);
    assert.notEqual(tool.description, "", full);
    assert.equal(tool.parameters.type, "object", full);
    for (const key of REFUSED_KEYS) assert.ok(!(key in tool.parameters), `${full} has ${key} at the top of its schema`);
  }
}
