import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { allCommands, createProgram } from "../src/cli/program.ts";
import { ROUTES } from "../src/contract/routes/index.ts";
import { TOOLS } from "../src/mcp/registry.ts";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";

const page = readFileSync(path.join(PACKAGE_ROOT, "docs", "coming-from.md"), "utf8");
/** Cells of the tables: theirs, command, tool, request, note. */
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| ---") && !line.includes("| command | MCP tool |"))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const codeIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
const tools = new Set(TOOLS.map(({ name }) => name));

test("there is a table for each of the five, and each row says something in every column", () => {
  const titles = [...page.matchAll(/^## From (\w+)$/gm)].map((match) => match[1]);
  assert.deepEqual(titles, ["Nexus", "microagent", "orchestrator", "FireMCP", "Nucleus"]);
  assert.ok(rows.length > 100);
  for (const row of rows) {
    assert.equal(row.length, 5, row.join(" | "));
    const [theirs = "", command, tool, request, note = ""] = row;
    assert.notEqual(theirs, "");
    for (const cell of [command, tool, request]) assert.match(cell ?? "", /^(–|`[^`]+`)$/, row.join(" | "));
    const isMissing = [command, tool, request].every((cell) => cell === "–");
    if (isMissing) assert.notEqual(note, "", `${theirs}: what is not there needs a word`);
  }
});

test("every command that it names is there", async () => {
  const program = await createProgram();
  const words = [...allCommands(program)].map((command) => {
    const names: string[] = [];
    for (let at: typeof command | null = command; at !== null; at = at.parent) names.unshift(at.name());
    return names.join(" ");
  });
  const named = codeIn(page).filter((code) => code.startsWith("firebreak "));
  assert.ok(named.length > 80);
  for (const code of named) {
    const command = code.replace(/ --.*$/, "");
    assert.ok(words.includes(command), `'${command}' is no command`);
  }
});

test("every tool that it names is there, in the tables and beside them", () => {
  for (const [theirs, , tool] of rows)
    for (const name of codeIn(tool ?? "")) assert.ok(tools.has(name), `${theirs}: there is no tool '${name}'`);
  // In notes and in prose: whatever looks like a tool of ours.
  const prose = page.split("\n").map((line) => (line.startsWith("| ") ? (line.split(" | ")[4] ?? "") : line));
  const looksLikeTool = /^(vm|snapshot|template|image|kernel|drive|volume|command|file)_[a-z_]+$/;
  for (const name of prose.flatMap(codeIn)) if (looksLikeTool.test(name)) assert.ok(tools.has(name), name);
});

test("every request that it names is answered", () => {
  const requests = new Set(
    Object.values(ROUTES)
      .flat()
      .map(({ method, path: route }) => `${method} ${route}`),
  );
  for (const [theirs, , , request] of rows)
    for (const code of codeIn(request ?? "")) assert.ok(requests.has(code), `${theirs}: there is no ${code}`);
});
