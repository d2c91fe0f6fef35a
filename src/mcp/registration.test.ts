import assert from "node:assert/strict";
import { test } from "node:test";
import { describeRegistrations, listRegistrations } from "./registration.ts";

test("every client gets the program's absolute path and the same arguments", () => {
  const program = "/opt/fire break/bin/firebreak";
  const clients = listRegistrations(program);
  const names = ["Claude Code", "Codex", "VS Code", "Cursor", "Gemini CLI", "opencode", "Copilot CLI"];
  assert.deepEqual(
    clients.map(({ client }) => client),
    names,
  );
  for (const { client, where, text } of clients) {
    if (text === undefined) assert.ok(where.endsWith(` -- '${program}' serve mcp`), client);
    else assert.ok(JSON.stringify(JSON.parse(text)).includes(`"${program}"`), client);
  }
  assert.match(describeRegistrations(program), /Register it once/);
});
