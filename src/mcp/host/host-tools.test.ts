import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";
import { TOOLS } from "../registry.ts";

const call = caller(createFakeVmClient(["web", "db"]));

test("a check that failed and does not matter does not make the host a bad one", async () => {
  const { data, text } = await call("doctor", {});
  assert.equal(data.ok, true);
  assert.match(text, /optional skopeo: missing \(apt-get install skopeo\)/);
});

test("tools are described, also those that are not served, with their schemas when asked for", async () => {
  const { tools } = (await call("describe", {})).data as { tools: Record<string, unknown>[] };
  assert.deepEqual(
    tools.map(({ tool }) => tool),
    TOOLS.map(({ name }) => name),
  );
  const [deletion] = (await call("describe", { tool: "vm_delete" })).data.tools as Record<string, unknown>[];
  assert.deepEqual(
    [deletion?.toolset, deletion?.side_effects, deletion?.needs_confirmation, deletion?.cost_class],
    ["vm", "destroys", true, "quick"],
  );
  assert.ok("properties" in ((deletion?.input_schema ?? {}) as object));
  assert.equal((await call("describe", { tool: "vm_delte" })).data.hint, "Did you mean 'vm_delete'?");
});
