import assert from "node:assert/strict";
import { test } from "node:test";
import { EXAMPLES } from "./examples.ts";
import { allCommands, createProgram, runCli } from "./program.ts";

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

test("an unknown command has a code of its own and names what may have been meant; an unknown flag is another thing", async (context) => {
  for (const [args, code, hint] of [
    [["vmm"], "UNKNOWN_COMMAND", "Did you mean vm? See: firebreak --help"],
    [["vm", "cretae"], "UNKNOWN_COMMAND", "Did you mean create? See: firebreak vm --help"],
    [["image", "psuh", "a"], "UNKNOWN_COMMAND", "Did you mean push? See: firebreak image --help"],
    [["exec", "web"], "UNKNOWN_COMMAND", "Did you mean vm exec? See: firebreak --help"],
    [["nothing-like-it"], "UNKNOWN_COMMAND", "See: firebreak --help"],
    // A prompt takes nothing with it that was meant as an option.
    [
      ["task", "run", "Fix it", "--workspce", "."],
      "UNKNOWN_FLAG",
      "Did you mean --workspace? See: firebreak task run --help",
    ],
    [["task", "usage"], "UNKNOWN_COMMAND", "Did you mean firebreak usage? See: firebreak task --help"],
    [["vm", "list", "--lable", "a"], "UNKNOWN_FLAG", "Did you mean --label? See: firebreak vm list --help"],
  ] as const) {
    let text = "";
    const stderr = context.mock.method(process.stderr, "write", (piece: string) => {
      text += piece;
      return true;
    });
    const exitCode = await runCli([...args, "--json"]);
    stderr.mock.restore();
    const { error } = JSON.parse(text);
    assert.deepEqual([exitCode, error.code, error.hint], [2, code, hint], args.join(" "));
  }
});
