import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { agentEventSchema } from "../../src/contract/task-event.ts";
import { AGENTS } from "../../src/tasks/agents/index.ts";
import { createShellModel } from "../fakes/model-api/shell-model.ts";
import { MODELS, MODES } from "./task-agents/modes.ts";
import { runLaunch } from "./task-agents/run-launch.ts";

/** The real programs, started as tasks start them; where a VM would be is a network namespace with a fake model. */
for (const agent of AGENTS) {
  if (agent.package === undefined) continue;
  describe(agent.name, () => {
    const run = async (name: keyof typeof MODES & string) => {
      const mode = MODES[name];
      assert.ok(mode);
      const request = { model: MODELS[agent.name], ...mode.request };
      const result = await runLaunch(agent, request, createShellModel(mode.model));
      const reader = agent.createReader?.();
      assert.ok(reader);
      const events = result.lines.flatMap((line) => reader.line(line)).map((event) => agentEventSchema.parse(event));
      const said = `${result.lines.join("\n")}\n${result.stderr}`;
      assert.deepEqual(result.misunderstood, [], said);
      assert.ok(result.turns.length > 0 && result.hasKeysRight, said);
      return { ...result, reader, events, said };
    };

    test("runs commands in its shell and answers", async () => {
      const { exitCode, reader, events, turns, said } = await run("tools");
      assert.equal(exitCode, 0, said);
      const types = events.map(({ type }) => type);
      assert.equal(types.indexOf("started"), 0, said);
      assert.equal(types.filter((type) => type === "tool_call").length, 2, said);
      const results = events.filter((event) => event.type === "tool_result");
      assert.deepEqual([results.length, results[0]?.ok], [2, true], said);
      assert.match(results[0]?.output ?? "", /^vm-ok/);
      assert.deepEqual(events.at(-1), { type: "answer", text: "One was well, and one was not." }, said);
      assert.ok(
        turns.some(({ body }) => body.includes("--help is what I want")),
        "the prompt has not arrived",
      );
      assert.ok(reader.outcome === undefined || reader.outcome.reason === "completed", said);
      // Copilot tells of tokens to nobody.
      const [used] = reader.tokens;
      if (agent.name !== "copilot")
        assert.deepEqual([used?.input, used?.cacheRead, used?.output], [3000, 600, 90], said);
    });

    test("ends by itself with a key that is not taken, and says so", async () => {
      const { exitCode, reader, events, said } = await run("unauthorized");
      assert.notEqual(exitCode, 0, said);
      assert.equal(reader.outcome?.reason, "failed", said);
      assert.ok(
        events.some((event) => event.type === "error" && event.fatal),
        said,
      );
    });
  });
}
