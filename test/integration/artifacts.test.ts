import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { readTar } from "../../src/archive/tar-reader.ts";
import { ArtifactService } from "../../src/artifacts/service.ts";
import type { GuestClient } from "../../src/guest/client.ts";
import { SqliteArtifactStore } from "../../src/store/artifacts.ts";
import { openDatabase } from "../../src/store/database.ts";
import { hasCode } from "../support/has-code.ts";
import { startHostAgent } from "../support/host-agent.ts";

const VM = { id: "0123456789ab", name: "web" };

let folder: string;
let agent: Awaited<ReturnType<typeof startHostAgent>>;
let database: ReturnType<typeof openDatabase>;
let service: ArtifactService;
const store = () => path.join(folder, "artifacts");
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-art-"));
  agent = await startHostAgent();
  database = openDatabase(path.join(folder, "state.db"));
  service = new ArtifactService(store(), new SqliteArtifactStore(database));
});
after(async () => {
  await agent.close();
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, content: string | Buffer): string {
  const file = path.join(folder, "guest", name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}
const create = (file: string, more: { name?: string; maxBytes?: number } = {}) =>
  service.create(VM, agent.client, { path: file, ...more }, {});
const bytesOf = async (name: string, range = {}) => buffer(service.read(service.get(name), range));

test("a file is kept with its type, and stays when the original is gone", async () => {
  const file = write("report.md", "# title");
  const artifact = await create(file);
  rmSync(file);
  assert.deepEqual(
    [artifact.name, artifact.kind, artifact.mediaType, artifact.sizeBytes, artifact.vm],
    ["report.md", "file", "text/markdown", 7, VM],
  );
  assert.equal((await bytesOf("report.md")).toString(), "# title");
  assert.equal((await bytesOf(artifact.id, { offset: 2, length: 3 })).toString(), "tit");
  assert.equal((await bytesOf(artifact.id, { offset: 100 })).length, 0);
});

test("a directory is kept as a tar", async () => {
  write("out/a", "1");
  write("out/sub/b", "2");
  const artifact = await create(path.join(folder, "guest/out"));
  assert.deepEqual([artifact.name, artifact.mediaType], ["out.tar", "application/x-tar"]);
  const names: string[] = [];
  for await (const entry of readTar(Readable.from([await bytesOf("out.tar")]), { maxEntries: 10, maxBytes: 100 }))
    names.push(entry.path.toString());
  assert.deepEqual(
    names,
    ["a", "sub", "sub/b"].map((name) => (name === "sub" ? names[1] : name)),
  );
});

test("equal content is kept once, and goes with the last artifact that has it", async () => {
  const content = "the same in both";
  const first = await create(write("x/same.txt", content));
  const second = await create(write("y/same.txt", content));
  assert.deepEqual([second.name, second.digest], ["same-2.txt", first.digest]);
  const file = first.digest.slice("sha256:".length);
  await service.delete(first.id);
  assert.ok(readdirSync(store()).includes(file));
  assert.equal((await bytesOf(second.id)).toString(), content);
  await service.delete(second.name);
  assert.ok(!readdirSync(store()).includes(file));
});

test("a name that is taken or malformed, a missing file and one that is too large are errors that leave nothing", async () => {
  const file = write("taken", "1");
  await create(file, { name: "taken" });
  const before = readdirSync(store());
  await assert.rejects(create(file, { name: "taken" }), hasCode("ARTIFACT_ALREADY_EXISTS"));
  await assert.rejects(create(path.join(folder, "missing")), hasCode("FILE_NOT_FOUND"));
  await assert.rejects(create(write("large", Buffer.alloc(5000)), { maxBytes: 4999 }), hasCode("ARCHIVE_TOO_LARGE"));
  assert.throws(() => service.get("nope"), hasCode("ARTIFACT_NOT_FOUND"));
  assert.deepEqual(readdirSync(store()), before);
});

test("a guest's name of a file becomes a plain one, and what a guest sends without end is cut off", async () => {
  assert.match((await create(write("..\u001b[2J evil\u202e.txt", "x"))).name, /^[A-Za-z0-9][A-Za-z0-9._+-]*$/);
  // Of a guest, only what a creation asks for.
  const endless = {
    stat: async () => ({ type: "file" }),
    readFile: async () => ({
      body: Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(65_536);
        })(),
      ),
    }),
  } as unknown as GuestClient;
  const before = readdirSync(store());
  await assert.rejects(
    service.create(VM, endless, { path: "/x", maxBytes: 1024 * 1024 }, {}),
    hasCode("ARCHIVE_TOO_LARGE"),
  );
  assert.deepEqual(readdirSync(store()), before);
});

test("of two creations with one name one wins, and the other leaves no content behind", async () => {
  const [a, b] = [write("race-a", "a of the race"), write("race-b", "b of the race")];
  const outcomes = await Promise.allSettled([create(a, { name: "race" }), create(b, { name: "race" })]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const kept = new Set(service.list().map(({ digest }) => digest.slice("sha256:".length)));
  assert.deepEqual(new Set(readdirSync(store())), kept);
});

test("what a daemon that died left without a row is removed by the next one", async () => {
  const kept = readdirSync(store()).sort();
  writeFileSync(path.join(store(), "part-1234"), "half");
  writeFileSync(path.join(store(), "f".repeat(64)), "no row");
  await new ArtifactService(store(), new SqliteArtifactStore(database)).sweep();
  assert.deepEqual(readdirSync(store()).sort(), kept);
});
