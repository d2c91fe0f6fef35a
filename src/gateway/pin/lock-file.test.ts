import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import type { Severity } from "../../contract/scan.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { EMPTY_LOCK, type Lock, type LockServer, noDefinitions } from "./lock.ts";
import { formatLock, parseLock, readLock, writeLock } from "./lock-file.ts";

const HASH = `sha256:${"0f".repeat(32)}`;
const OTHER = `sha256:${"1e".repeat(32)}`;
const FILES: LockServer = {
  package: "@modelcontextprotocol/server-filesystem",
  packageVersion: "2026.8.31",
  packageDigest: "sha512-abc+/=",
  packagesDigest: HASH,
  image: "ghcr.io/owner/files:1",
  imageDigest: HASH,
  protocolVersion: "2025-11-25",
  scan: {
    verdict: "warning",
    at: "2026-01-31T12:00:00.000Z",
    findings: new Map<string, Severity>([["tool x size", "warning"]]),
  },
  definitions: {
    ...noDefinitions(),
    tool: new Map([
      ["write_file", HASH],
      ["read_file", OTHER],
    ]),
    resource: new Map([["demo://a/b?c=d#e", HASH]]),
  },
};
const LOCK: Lock = new Map([
  ["zoo", { definitions: noDefinitions() }],
  ["files", FILES],
]);

const TEXT = `# Written by firebreak: what MCP servers offered when it was approved. What differs is stopped until it is approved, too.
version = 1

[servers.files]
package = "@modelcontextprotocol/server-filesystem"
package_version = "2026.8.31"
package_digest = "sha512-abc+/="
packages_digest = "${HASH}"
image = "ghcr.io/owner/files:1"
image_digest = "${HASH}"
protocol = "2025-11-25"
scan = "warning"
scanned_at = "2026-01-31T12:00:00.000Z"

[servers.files.tools]
read_file = "${OTHER}"
write_file = "${HASH}"

[servers.files.resources]
"demo://a/b?c=d#e" = "${HASH}"

[servers.files.findings]
"tool x size" = "warning"

[servers.zoo]
`;

test("a lock is a line for each fact, in one order", () => {
  assert.equal(formatLock(LOCK), TEXT);
  assert.deepEqual(plain(parseLock(TEXT)), plain(LOCK));
  assert.equal(formatLock(parseLock(TEXT.replaceAll("\n", "\r\n"))), TEXT);
});

/** Maps compare by order, which a lock has none of. */
function plain(lock: Lock): unknown {
  const sort = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return sort(
    new Map(
      [...lock].map(([name, { definitions, scan, ...facts }]) => [
        name,
        {
          ...facts,
          scan: scan && { ...scan, findings: sort(scan.findings) },
          definitions: Object.entries(definitions).map(([kind, each]) => [kind, sort(each)]),
        },
      ]),
    ),
  );
}

test("any lock comes back as it was, is TOML, and shows what is hidden", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed()),
    fc.constantFrom(
      "__proto__",
      "constructor",
      "a.b",
      'q"uo\\te',
      "\\u{41}",
      "\\U00000041",
      "\u202e",
      "\u{e0041}",
      "#",
      "[x]",
      "version",
    ),
  );
  const hash = fc.constantFrom(HASH, OTHER);
  const names = fc.array(fc.tuple(name, hash), { maxLength: 5 }).map((entries) => new Map(entries));
  const server = fc.record({
    definitions: fc.record({ tool: names, prompt: names, resource: names, resource_template: names }),
    scan: fc.record({
      verdict: fc.constantFrom("ok" as const, "failed" as const),
      at: fc.constant("2026-01-31T12:00:00Z"),
      findings: fc
        .array(fc.tuple(name, fc.constantFrom<Severity>("warning", "danger")))
        .map((entries) => new Map(entries)),
    }),
    package: name,
  });
  const servers = fc.array(fc.tuple(fc.constantFrom("a", "b-c", "d0"), server), { maxLength: 3 });
  fc.assert(
    fc.property(servers, (entries) => {
      const lock: Lock = new Map(entries);
      const text = formatLock(lock);
      assert.doesNotMatch(text, /[\p{Cf}\p{Co}]/u);
      assert.deepEqual(plain(parseLock(text)), plain(lock));
      const tools = (parse(text).servers as Record<string, { tools?: object }> | undefined) ?? {};
      for (const [key, { definitions }] of lock)
        assert.equal(Object.keys(tools[key]?.tools ?? {}).length, definitions.tool.size);
    }),
  );
});

test("whatever is in the file, it is a lock or an error that names a line", () => {
  const line = fc.oneof(fc.constantFrom(...TEXT.split("\n")), fc.string({ maxLength: 30 }));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      try {
        parseLock(lines.join("\n"));
      } catch (error) {
        assert.ok(error instanceof FirebreakError && error.code === "SERVER_LOCK_INVALID", String(error));
        assert.match(error.message, /^firebreak\.lock:\d+: /);
      }
    }),
  );
});

test("a fault is told with its line", () => {
  const faults: [string, RegExp][] = [
    ["", /:1: there is no 'version'/],
    ["version = 2", /:1: version 2 was written by a newer firebreak/],
    ["version = 1\nversion = 1", /:2: 'version' is here twice/],
    ['version = "1"', /:1: 'version' is a whole number/],
    ["versoin = 1", /:1: there is no 'versoin' here, did you mean 'version'/],
    ["[servers.a]", /:1: 'version' comes before the servers/],
    ["version = 1\n[servers.A]", /:2: '\[servers\.A\]' is not/],
    ["version = 1\n[servers.a]\n[servers.a]", /:3: the server 'a' is here twice, first in line 2/],
    ["version = 1\n[servers.a.tools]", /:2: \[servers\.a\] comes before/],
    ["version = 1\n[servers.a]\n[servers.a.tolls]", /:3: there is no 'tolls' here, did you mean 'tools'/],
    ["version = 1\n[servers.a]\n[servers.a.tools]\n[servers.a.tools]", /:4: the section 'tools' of 'a' is here twice/],
    ["version = 1\n[servers.a]\nimgae = 'x'", /:3: there is no 'imgae' here, did you mean 'image'/],
    ["version = 1\n[servers.a]\nimage = 7", /:3: 'image' is a string/],
    ["version = 1\n[servers.a]\nscan = 'fine'", /:3: 'scan' is ok, warning, danger, failed, not 'fine'/],
    ["version = 1\n[servers.a]\nscan = 'ok'", /:2: 'scan' and 'scanned_at' of 'a' go together/],
    ["version = 1\n[servers.a]\n[servers.a.tools]\nx = 'sha256:0'", /:4: 'x' has no hash/],
    [`version = 1\n[servers.a]\n[servers.a.tools]\nx = '${HASH}'\n\nx = '${HASH}'`, /:6: 'x' is here twice/],
    [`version = 1\n[servers.a]\n[servers.a.tools]\nx.y = '${HASH}'`, /:4: 'x' is a string/],
    ["version = 1\n[servers.a]\nimage = 'x", /:3: /],
    ["version = 1\n<<<<<<< ours", /:2: a conflict of two versions/],
    ["version = 1\n[servers.a]\nimage = '''\nx'''", /:3: /],
  ];
  for (const [text, message] of faults)
    assert.throws(() => parseLock(text), { code: "SERVER_LOCK_INVALID", message }, text);
});

test("a file is written whole, left alone when nothing has changed, and read back; an absent one is empty", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-lock-"));
  try {
    const file = path.join(folder, "firebreak.lock");
    assert.deepEqual(await readLock(file), EMPTY_LOCK);
    await writeLock(file, LOCK);
    const { ino } = await stat(file);
    await writeLock(file, LOCK);
    assert.equal((await stat(file)).ino, ino);
    assert.equal(await readFile(file, "utf8"), TEXT);
    assert.deepEqual(plain(await readLock(file)), plain(LOCK));
    await writeFile(file, "version = 0");
    await assert.rejects(readLock(file), { message: new RegExp(`${file}:1: `) });
    await assert.rejects(writeLock(path.join(folder, "none", "x"), LOCK));
    assert.deepEqual(await readdir(folder), ["firebreak.lock"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
