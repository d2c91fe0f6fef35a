import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import { fullName } from "../../fakes/model-api/model-api.ts";
import { type RecordedTurn, serveFakeModel } from "../../fakes/model-api/serve.ts";
import type { Agent } from "./agent.ts";
import { type ReadyAgent, type SetUpOptions, setUpAgent } from "./set-up.ts";

const LAST_WORDS = "That is all.";

/** A call of one of firebreak's tools. */
export interface Call {
  tool: string;
  args: Record<string, unknown>;
}

export interface Conversation extends Pick<SetUpOptions, "doors" | "env"> {
  /** What the model calls, one after the other, before it ends. */
  calls: Call[];
  /** Tells the agent of firebreak. */
  register: (ready: ReadyAgent) => Promise<void>;
  /** The agent's home is made below it. */
  folder: string;
}

/** Has an agent do what its model says, until both are content. Returns the model's last request, which has the answers to all calls. */
export async function converse(
  agent: Agent,
  { calls, register, folder, ...rest }: Conversation,
): Promise<RecordedTurn> {
  const own = await mkdtemp(path.join(folder, `${agent.program}-`));
  const model = await serveFakeModel(agent.api, path.join(own, "model.sock"), (turn) => {
    const call = calls[turn.toolResults.length];
    if (call === undefined) return { text: LAST_WORDS };
    const wanted = fullName(agent.shown(call.tool));
    const tool = turn.tools.find((offered) => fullName(offered) === wanted);
    // Requests for a conversation's title come without tools.
    return tool === undefined ? { text: `There is no ${wanted}.` } : { tool, args: call.args };
  });
  try {
    const home = path.join(own, "home");
    const ready = await setUpAgent(agent, { ...rest, home, modelSocketPath: model.socketPath });
    await register(ready);
    const { exitCode, stdout, stderr } = await ready.ask("Do as you are told.");
    const said = `${agent.name} exited with ${exitCode} after ${model.turns.length} requests\n${stdout}\n${stderr}`;
    assert.deepEqual(model.misunderstood, [], said);
    assert.equal(exitCode, 0, said);
    assert.ok(stdout.includes(LAST_WORDS), said);
    const last = model.turns.findLast(({ tools }) => tools.length > 0);
    assert.equal(last?.toolResults.length, calls.length, said);
    return last as RecordedTurn;
  } finally {
    await model.close();
  }
}
