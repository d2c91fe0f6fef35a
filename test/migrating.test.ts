import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { importServers } from "../src/gateway/config/import.ts";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";

const page = readFileSync(path.join(PACKAGE_ROOT, "docs", "migrating.md"), "utf8");

test("what the examples show of an import is what it writes", () => {
  const blocks = [...page.matchAll(/^```console\n(.*?)^```/gms)].map(([, block = ""]) => block);
  const examples = blocks.flatMap((block) => {
    const [, file = "", text = ""] = /^\$ cat (\S+)\n(.*?)^\$ /ms.exec(block) ?? [];
    const [, shown] = /^\$ firebreak server import \S+ --dry-run\n(.*?)^\$ /ms.exec(block) ?? [];
    return shown === undefined ? [] : [{ file, text, shown }];
  });
  assert.deepEqual(
    examples.map(({ file }) => file),
    ["servers.json", "github.json", "dev.json"],
  );
  for (const { file, text, shown } of examples) {
    // The page has no token.
    const { toml } = importServers(text.replace("ghp_…", `ghp_${"0123456789".repeat(4)}`), file, { home: "/root" });
    assert.equal(shown.slice(0, toml.length), toml, file);
  }
});
