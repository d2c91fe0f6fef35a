import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../src/cli/program.ts";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";

const DOCS = path.join(PACKAGE_ROOT, "docs");
const pages = [
  path.join(PACKAGE_ROOT, "README.md"),
  ...readdirSync(DOCS)
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join(DOCS, name)),
];

/** What a page tells its readers to type: lines of its code blocks, and code within its text. */
function commandLinesOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```\w*\n(.*?)^```/gms)].flatMap(([, block = ""]) => block.split("\n"));
  const typed = blocks.flatMap(
    (line) => /^(?:\$ )?(?:.*\| )?(?:sudo )?(?:bin\/)?(firebreak [a-z-].*)$/.exec(line)?.[1] ?? [],
  );
  const prose = text.replaceAll(/^```.*?^```/gms, "");
  const inline = [...prose.matchAll(/`(firebreak [a-z][^`]*)`/g)].map(([, code = ""]) => code);
  return [...typed, ...inline];
}

/** Its words, as far as they are firebreak's own: not what is said beside it, nor what is run in the VM. */
function wordsOf(line: string): string[] {
  const [own = ""] = line.split(/\s#|\s{2,}|\s--(?=\s|$)|\s[|<>&]/);
  return own.split(" ").slice(1);
}

/** What is wrong with a command line; undefined for one that can be typed. */
function faultOf(program: Command, line: string): string | undefined {
  const words = wordsOf(line);
  let command = program;
  for (;;) {
    const next = command.commands.find(
      (each) => words[0] !== undefined && (each.name() === words[0] || each.aliases().includes(words[0])),
    );
    if (next === undefined) break;
    command = next;
    words.shift();
  }
  if (command.commands.length > 0 && words[0] !== undefined && !words[0].startsWith("-"))
    return `'${words[0]}' is no command of ${command.name()}`;
  const flags = new Set(["-h", "--help", ...command.options.flatMap(({ long, short }) => [long, short])]);
  const unknown = words.filter((word) => /^--?[a-z]/i.test(word)).find((word) => !flags.has(word.split("=")[0]));
  return unknown === undefined ? undefined : `${command.name()} has no ${unknown}`;
}

test("every command line of the documentation can be typed", async () => {
  const program = await createProgram();
  let count = 0;
  for (const page of pages)
    for (const line of commandLinesOf(readFileSync(page, "utf8"))) {
      count += 1;
      assert.equal(faultOf(program, line), undefined, `${path.basename(page)}: ${line}`);
    }
  assert.ok(count > 150, `${count} lines were found`);
});

test("a command or a flag that there is not is told", async () => {
  const program = await createProgram();
  const faults = [
    "firebreak server imprt x",
    "firebreak up --confg x",
    "firebreak frob",
    "firebreak run --alow a -- x --y",
  ];
  assert.deepEqual(
    faults.map((line) => faultOf(program, line)),
    ["'imprt' is no command of server", "up has no --confg", "'frob' is no command of firebreak", "run has no --alow"],
  );
  assert.equal(faultOf(program, "firebreak run --allow a -- x --y   # --z"), undefined);
});
