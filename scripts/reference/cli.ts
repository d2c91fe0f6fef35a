import type { Command } from "commander";
import { createProgram } from "../../src/cli/program.ts";

const WIDTH = 110;

const HEAD = `# Command line

The help of each command, as \`firebreak COMMAND --help\` prints it. Exit codes are in [errors.md](../errors.md).

Written by \`make reference\` from \`src/cli\`.
`;

/** docs/reference/cli.md. */
export async function writeCliReference(): Promise<string> {
  const program = await createProgram();
  return `${[HEAD.trim(), ...visibleCommands(program).map(([words, command]) => describe(words, command))].join("\n\n")}\n`;
}

function visibleCommands(command: Command, words: string[] = [command.name()]): [string, Command][] {
  const children = command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help")
    .flatMap((child) => visibleCommands(child as Command, [...words, child.name()]));
  return [[words.join(" "), command], ...children];
}

function describe(words: string, command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return `## ${words}\n\n\`\`\`text\n${text.trim()}\n\`\`\``;
}
