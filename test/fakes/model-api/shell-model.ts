import type { Answer, OfferedTool, Pace, Turn, Usage } from "./model-api.ts";

/** What agents call the tool that runs a command in a shell. */
const SHELL_TOOLS = ["Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command"];

export interface ShellModelOptions extends Pace {
  /** Each is run in turn; then the model answers. */
  commands: string[];
  answer: string;
  usage?: Usage;
  /** In the place of any reply. */
  status?: number;
  /** How many requests it refuses before it replies; all of them by default. */
  refusals?: number;
}

/** A model that has its agent run commands in its shell, says what it is told to, and ends. */
export function createShellModel({
  commands,
  answer,
  usage,
  status,
  refusals = Number.POSITIVE_INFINITY,
  ...pace
}: ShellModelOptions): (turn: Turn) => Answer {
  let refused = 0;
  return (turn) => {
    if (status !== undefined && refused < refusals) {
      refused++;
      return { status, ...pace };
    }
    const said = { ...pace, ...(usage === undefined ? {} : { usage }) };
    if (turn.wantsJson) return { text: JSON.stringify(ROUTING), ...said };
    const command = commands[turn.toolResults.length];
    const tool = turn.tools.find(({ name }) => SHELL_TOOLS.includes(name));
    // Requests for a conversation's title come without tools.
    return command === undefined || tool === undefined
      ? { text: answer, ...said }
      : { tool, args: argumentsOf(tool, command), ...said };
  };
}

/** Gemini CLI's choice of a model, as it wants it. */
const ROUTING = { reasoning: "x", model_choice: "flash", complexity_score: 1, complexity_reasoning: "x" };

function argumentsOf({ parameters }: OfferedTool, command: string): Record<string, unknown> {
  const known = Object.keys((parameters.properties as object | undefined) ?? {});
  return {
    [known.includes("cmd") ? "cmd" : "command"]: command,
    ...(known.includes("description") ? { description: "As it was asked to." } : {}),
  };
}
