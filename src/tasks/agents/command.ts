import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { TaskAgent } from "./agent.ts";

/** Any program of the image, without a model. */
export const command: TaskAgent = {
  name: "command",
  title: "a command",
  memoryMib: 0,
  hosts: [],
  secrets: [],
  takesNoModel: true,
  launch: ({ argv = [] }) => {
    if (argv.length === 0 || argv[0] === "")
      throw new FirebreakError("INVALID_ARGUMENT", "the agent 'command' needs a command", {
        hint: "Name it behind '--': firebreak task run --agent command -- ls -l",
      });
    return { argv: [...argv], env: {}, files: {} };
  },
};
