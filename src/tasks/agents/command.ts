import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { TaskAgent } from "./agent.ts";

/** Any program of the image: what it prints is shown as it is. */
export const command: TaskAgent = {
  name: "command",
  title: "a command",
  memoryMib: 0,
  hosts: [],
  secrets: [],
  launch({ argv }) {
    if (argv === undefined || argv.length === 0)
      throw new FirebreakError("INVALID_ARGUMENT", "the agent 'command' needs a command");
    return { argv: [...argv], env: {}, files: {} };
  },
};
