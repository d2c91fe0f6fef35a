import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { AGENTS } from "../../src/tasks/agents/index.ts";
import { createShellModel } from "../fakes/model-api/shell-model.ts";
import { MODELS, MODES } from "./task-agents/modes.ts";
import { runLaunch } from "./task-agents/run-launch.ts";

/** Records what agents write into test/fixtures/agents: `record-streams.ts [AGENT [MODE…]]`, after scripts/setup-clients.sh. */
const FIXTURES = path.join(import.meta.dirname, "..", "fixtures", "agents");
const [only, ...modes] = process.argv.slice(2);
for (const agent of AGENTS) {
  if (agent.package === undefined || (only !== undefined && only !== agent.name)) continue;
  await mkdir(path.join(FIXTURES, agent.name), { recursive: true });
  for (const [name, mode] of Object.entries(MODES)) {
    if ((modes.length > 0 && !modes.includes(name)) || mode.without?.includes(agent.name)) continue;
    const started = Date.now();
    const request = { model: MODELS[agent.name], ...mode.request };
    const result = await runLaunch(agent, request, createShellModel(mode.model));
    const { lines, exitCode, turns, hasKeysRight, misunderstood, stderr } = result;
    await writeFile(path.join(FIXTURES, agent.name, `${name}.jsonl`), lines.map((line) => `${line}\n`).join(""));
    process.stdout.write(
      `${agent.name} ${name}: ${lines.length} lines, exit ${exitCode}, ${turns.length} turns, ${Date.now() - started} ms${hasKeysRight ? "" : ", WRONG KEYS"}\n`,
    );
    if (misunderstood.length > 0 || exitCode !== 0) process.stdout.write(`${misunderstood.join("\n")}\n${stderr}\n`);
  }
}
