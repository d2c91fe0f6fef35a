import type { AgentRequest } from "../../../src/tasks/agents/agent.ts";
import type { ShellModelOptions } from "../../fakes/model-api/shell-model.ts";

/** A model that each agent knows to be one. */
export const MODELS: Readonly<Record<string, string>> = {
  claude: "claude-sonnet-4-5",
  codex: "gpt-5.2-codex",
  gemini: "gemini-2.5-flash",
  opencode: "gpt-5.2-codex",
  copilot: "gpt-5.2-codex",
};

export interface Mode {
  request: Partial<AgentRequest> & { prompt: string };
  model: ShellModelOptions;
  /** Agents that know no limit, and would go on for ever: they drop old answers of tools when a model has used much. */
  without?: string[];
}

const PROMPT = "--help is what I want: do as you are told.";
const usage = { input: 1200, cached: 200, output: 30 };

/** What each agent is run through, and what its recorded streams are of. */
export const MODES: Readonly<Record<string, Mode>> = {
  answer: { request: { prompt: PROMPT }, model: { commands: [], answer: "There is nothing to do.", usage } },
  tools: {
    request: { prompt: PROMPT },
    model: { commands: ["echo vm-ok", "echo no >&2; exit 3"], answer: "One was well, and one was not.", usage },
  },
  unauthorized: { request: { prompt: PROMPT }, model: { commands: [], answer: "", status: 401 } },
  busy: {
    request: { prompt: PROMPT },
    model: { commands: [], answer: "At last.", status: 529, refusals: 2, usage },
  },
  budget: {
    request: { prompt: PROMPT, maxCostUsd: 0.5, maxTurns: 3 },
    model: {
      commands: Array.from({ length: 6 }, (_, number) => `echo ${number}`),
      answer: "Dear.",
      usage: { input: 400_000, cached: 0, output: 30_000 },
    },
    without: ["copilot"],
  },
  cut: { request: { prompt: PROMPT }, model: { commands: [], answer: "Never whole.", cutAfter: 2, usage } },
};
