import assert from "node:assert/strict";
import { test } from "node:test";
import { EXAMPLES } from "./examples.ts";
import { allCommands, createProgram } from "./program.ts";

test("every command that does something has a description and examples", async () => {
  for (const command of allCommands(await createProgram())) {
    if (command.commands.length > 0 && command.parent !== null) continue;
    let text = "";
    command.configureOutput({
      writeOut: (piece) => {
        text += piece;
      },
    });
    command.outputHelp();
    assert.ok(command.description(), command.name());
    assert.match(text, /Examples:\n {2}\$ /, command.name());
  }
});

test("every example is of a command that is there", async () => {
  const program = await createProgram();
  for (const path of Object.keys(EXAMPLES)) {
    let command = program;
    for (const word of path.split(" ")) {
      const next = command.commands.find((child) => child.name() === word);
      assert.ok(next !== undefined, path);
      command = next;
    }
  }
});
