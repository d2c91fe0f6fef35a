import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import { type FakeEntry, fakeGuest, packEntries } from "../support/fake-guest.ts";
import { hasCode } from "../support/has-code.ts";
import { openWorkspaceService, readFiles, VM, writeFiles } from "../support/workspace-service.ts";

let parent: string;
let host: string;
let outside: string;
let state: ReturnType<typeof openWorkspaceService>;
beforeEach(async () => {
  parent = mkdtempSync(path.join(os.tmpdir(), "fb-wsh-"));
  host = path.join(parent, "host");
  outside = path.join(parent, "outside");
  writeFiles(outside, { secret: "kept" });
  writeFiles(host, { a: "1", "d/b": "1" });
  symlinkSync(outside, path.join(host, "own-link"));
  state = openWorkspaceService(path.join(parent, "state"));
  await state.open().push(VM, fakeGuest(), { directory: host }, {});
});
afterEach(() => {
  state.close();
  rmSync(parent, { recursive: true, force: true });
});

const pull = (archive: FakeEntry[] | Buffer | (() => Readable), more = {}) => {
  const sent =
    typeof archive === "function" ? archive : () => (Array.isArray(archive) ? packEntries(archive) : archive);
  return state.open().pull(VM, fakeGuest(sent), more, {});
};
/** What the VM holds when it has changed nothing. */
const same = (): FakeEntry[] => [
  { path: "a", content: "1" },
  { path: "d/b", content: "1" },
  { path: "own-link", target: outside },
];

const HEAD = "ref: refs/heads/main\n";
/** A repository that has git run a program: before it looks at files, and in each hook. */
const EVIL: (FakeEntry & { path: string })[] = [
  { path: "evil/HEAD", content: HEAD },
  {
    path: "evil/config",
    content: "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = TOUCH\n",
  },
  { path: "evil/hooks/pre-commit", content: "#!/bin/sh\nTOUCH\n", mode: 0o755 },
  { path: "evil/hooks/post-checkout", content: "#!/bin/sh\nTOUCH\n", mode: 0o755 },
  { path: "evil/objects/x", content: "" },
  { path: "evil/refs/heads/x", content: "" },
];

/** As somebody in a shell of this host would say it, with no settings of theirs. */
function git(...words: string[]): void {
  const env = {
    PATH: process.env.PATH,
    HOME: parent,
    GIT_CEILING_DIRECTORIES: parent,
    GIT_AUTHOR_NAME: "a",
    GIT_AUTHOR_EMAIL: "a@localhost",
    GIT_COMMITTER_NAME: "a",
    GIT_COMMITTER_EMAIL: "a@localhost",
  };
  const { error } = spawnSync("git", words, { cwd: host, env });
  if (error !== undefined) throw error;
}

/** Entries of kinds that the writer does not make: another type flag in an entry's head, with its sum corrected. */
function withFlag(entry: FakeEntry, flag: string): Buffer {
  const head = packEntries([entry]).subarray(0, 512);
  const changed = Buffer.from(head);
  changed.write(flag, 156, "latin1");
  changed.fill(0x20, 148, 156);
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}

test("a VM that has changed nothing changes nothing here, and the host's own link stays", async () => {
  const before = readFiles(host);
  assert.deepEqual((await pull(same())).changes, []);
  assert.deepEqual(readFiles(host), before);
});

for (const [name, entries] of [
  ["a path with ..", [{ path: "../outside/secret", content: "evil" }]],
  ["a deep path with ..", [{ path: "d/../../outside/secret", content: "evil" }]],
  ["an absolute path", [{ path: "/tmp/evil", content: "evil" }]],
  ["two entries of one name", [...same(), { path: "a", content: "evil" }]],
  ["a file below a file", [...same(), { path: "a/x", content: "evil" }]],
  ["a file below a link of its own", [...same(), { path: "l", target: "d" }, { path: "l/x", content: "evil" }]],
  ["a name of 300 bytes", [...same(), { path: "n".repeat(300), content: "" }]],
] satisfies [string, FakeEntry[]][]) {
  test(`an archive with ${name} is refused, and nothing is changed`, async () => {
    const before = readFiles(host);
    await assert.rejects(pull(entries), hasCode("ARCHIVE_INVALID"));
    assert.deepEqual([readFiles(host), readFiles(outside)], [before, { secret: "kept" }]);
  });
}

test("links that lead out, git's orders, hard links, devices and names that are no UTF-8 are left out by name", async () => {
  const archive = Buffer.concat([
    withFlag({ path: "hard", content: "" }, "1"),
    withFlag({ path: "device", content: "" }, "3"),
    packEntries([
      ...same(),
      { path: "to-etc", target: "/etc/passwd" },
      { path: "up", target: "../outside" },
      { path: "d/sneaky", target: "../d/../../outside" },
      { path: ".git/hooks/post-checkout", content: "evil", mode: 0o755 },
      { path: ".git/config", content: "[core]\nfsmonitor = evil" },
      { path: "sub/.git", content: "gitdir: /evil" },
      { path: Buffer.from([0x66, 0xff]), content: "bytes" },
      { path: "fine", target: "d/b" },
      { path: "tool", content: "x", mode: 0o777 },
    ]),
  ]);
  const report = await pull(archive);
  assert.deepEqual(
    report.skipped.map(({ path: name }) => name),
    ["hard", "device", "to-etc", "up", "d/sneaky", "f\ufffd", ".git/hooks/post-checkout", ".git/config", "sub/.git"],
  );
  const files = Object.entries(readFiles(host)).filter(([, content]) => content !== "/");
  assert.deepEqual(files.map(([name]) => name).sort(), ["a", "d/b", "fine", "own-link", "tool"]);
  assert.deepEqual(readFiles(outside), { secret: "kept" });
});

for (const [name, entries] of [
  ["the folder that it shares with another", [{ path: ".git/commondir", content: "../evil" }]],
  ["a link to hooks", [{ path: ".git/hooks", target: "../evil/hooks" }]],
  ["the directory itself as a repository", EVIL.map((entry) => ({ ...entry, path: entry.path.slice("evil/".length) }))],
  ["a directory in it as a repository", EVIL.map((entry) => ({ ...entry, path: entry.path.replace("evil", "d") }))],
] satisfies [string, FakeEntry[]][]) {
  test(`git on this host runs nothing of the VM's: ${name}`, async () => {
    // Git itself judges: in the last cases, of a directory that is in no repository.
    if (!name.includes("directory")) git("init", "-q", "--template=");
    const evil = EVIL.filter(({ path: place }) => place !== "evil/HEAD");
    await pull(
      [...same(), ...evil, ...entries].map((entry) =>
        entry.content === undefined
          ? entry
          : { ...entry, content: String(entry.content).replaceAll("TOUCH", `touch ${outside}/evil`) },
      ),
    );
    for (const folder of [host, path.join(host, "d")])
      for (const command of [
        ["status"],
        ["add", "-A"],
        ["commit", "-q", "--allow-empty", "-m", "x"],
        ["checkout", "-q", "-b", "y"],
      ])
        git("-C", folder, ...command);
    assert.deepEqual(readFiles(outside), { secret: "kept" });
  });
}

test("a file that becomes a link outwards is left as it was", async () => {
  await pull([{ path: "a", target: "/etc/shadow" }, ...same().slice(1)]);
  assert.equal(readFileSync(path.join(host, "a"), "utf8"), "1");
});

test("a setuid program of the guest is an ordinary file here", async () => {
  const [head] = [packEntries([{ path: "suid", content: "x" }])];
  head.write("0004755\0", 100, "latin1");
  head.fill(0x20, 148, 156);
  const sum = head.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  await pull(Buffer.concat([head.subarray(0, 1024), packEntries(same())]));
  assert.equal(statSync(path.join(host, "suid")).mode & 0o7777, 0o755);
});

test("a directory in the place of the host's own link takes its place and never what it leads to", async () => {
  await pull([...same().slice(0, 2), { path: "own-link/secret", content: "evil" }]);
  assert.deepEqual(readFiles(outside), { secret: "kept" });
  assert.equal(readFileSync(path.join(host, "own-link/secret"), "utf8"), "evil");
});

test("a directory that is swapped for a link while the plan is carried out is not written through", async () => {
  const archive = packEntries([
    { path: "a", content: "1" },
    { path: "d/b", content: "2" },
    { path: "d/c", content: "2" },
    same()[2] as FakeEntry,
  ]);
  const report = await state.open().pull(
    VM,
    fakeGuest(() => archive),
    {},
    {
      onProgress: ({ step }) => {
        if (step !== "pull") return;
        rmSync(path.join(host, "d"), { recursive: true });
        symlinkSync(outside, path.join(host, "d"));
      },
    },
  );
  assert.deepEqual(readFiles(outside), { secret: "kept" });
  assert.deepEqual(report.conflicts.map((conflict) => conflict.path).sort(), ["d/b", "d/c"]);
});

test("more entries or bytes than the limits allow are refused before anything is changed, and the limits can be raised", async () => {
  const before = readFiles(host);
  function* many() {
    for (let index = 0; index < 1_000_000; index += 100)
      yield packEntries(Array.from({ length: 100 }, (_, offset) => ({ path: `f${index + offset}` }))).subarray(
        0,
        51_200,
      );
  }
  await assert.rejects(
    pull(() => Readable.from(many()), { maxEntries: 1_000 }),
    hasCode("ARCHIVE_TOO_LARGE"),
  );
  const bomb = packEntries([{ path: "zeros", sizeBytes: 2 ** 40 }]);
  await assert.rejects(pull(bomb), hasCode("ARCHIVE_TOO_LARGE"));
  assert.deepEqual(readFiles(host), before);
  const files = [...same(), ...Array.from({ length: 20 }, (_, index) => ({ path: `f${index}`, content: "x" }))];
  await assert.rejects(pull(files, { maxEntries: 10 }), hasCode("ARCHIVE_TOO_LARGE"));
  assert.equal((await pull(files, { maxEntries: 30 })).counts.created, 20);
});

test("an archive that breaks off, or is none, changes nothing", async () => {
  const before = readFiles(host);
  const whole = packEntries([{ path: "a", content: "x".repeat(5000) }]);
  for (const bytes of [whole.subarray(0, 3000), Buffer.from("no archive at all"), Buffer.alloc(0)])
    await assert.rejects(pull(bytes), hasCode("ARCHIVE_INVALID"));
  const breaking = () =>
    Readable.from(
      (async function* () {
        yield whole.subarray(0, 1024);
        throw new Error("reset");
      })(),
    );
  await assert.rejects(pull(breaking), hasCode("CHANNEL_LOST"));
  assert.deepEqual(readFiles(host), before);
  assert.deepEqual(readdirSync(path.join(parent, "state", "workspaces", VM.id)), ["base.json"]);
});

test("a guest that sends nothing more is let go of when whoever waits gives up", async () => {
  const aborter = new AbortController();
  const silent = () => new Readable({ read: () => setImmediate(() => aborter.abort()) });
  await assert.rejects(
    state.open().pull(VM, fakeGuest(silent), {}, { signal: aborter.signal }),
    hasCode("OPERATION_CANCELED"),
  );
});

test("what the VM makes of the patterns has no effect, so that no secret is pushed that was kept out", async () => {
  writeFileSync(path.join(host, ".firebreakignore"), ".env\n");
  writeFileSync(path.join(host, ".env"), "secret");
  await pull([...same(), { path: ".firebreakignore", content: "" }]);
  let sent = Buffer.alloc(0);
  const guest = fakeGuest(() => packEntries(same()));
  guest.writeArchive = async (_path, body) => {
    for await (const piece of body as AsyncIterable<Buffer>) sent = Buffer.concat([sent, piece]);
    return { entries: 0, bytes: 0 };
  };
  writeFileSync(path.join(host, "more"), "x");
  await state.open().push(VM, guest, {}, {});
  assert.ok(sent.includes("more") && !sent.includes("secret") && !sent.includes(".env"));
});

test("names like those of objects' own properties are names like others", async () => {
  mkdirSync(path.join(host, "__proto__"));
  await pull([...same(), { path: "constructor", content: "x" }, { path: "__proto__/x", content: "y" }]);
  assert.equal(readFileSync(path.join(host, "__proto__/x"), "utf8"), "y");
  assert.deepEqual(
    (await pull([...same(), { path: "constructor", content: "x" }, { path: "__proto__/x", content: "y" }])).changes,
    [],
  );
});
