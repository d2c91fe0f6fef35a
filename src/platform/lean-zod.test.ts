import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

test("zod is loaded without the messages of languages that are not used, and has its English ones", () => {
  const script = `
    import ${JSON.stringify(new URL("lean-zod.ts", import.meta.url).href)};
    const { z } = await import("zod");
    console.log(JSON.stringify([Object.keys(z.locales), z.string().safeParse(1).error.issues[0].message]));
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.deepEqual(JSON.parse(output), [["en"], "Invalid input: expected string, received number"]);
});
