import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { approve } from "./compare.ts";
import { DefinitionStore } from "./definition-store.ts";
import { EMPTY_LOCK } from "./lock.ts";

test("definitions are kept by their hash, read back as long as they are what they were, and swept", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-definitions-"));
  try {
    const store = new DefinitionStore(path.join(folder, "definitions"));
    const add = { name: "add", description: "Adds.", _meta: { x: 1 } };
    const hash = await store.keep("tool", add);
    assert.equal(await store.keep("tool", { ...add }), hash);
    assert.deepEqual(await store.get(hash), { name: "add", description: "Adds." });
    const lock = approve(EMPTY_LOCK, "calc", { tools: [add, { name: "not kept" }] }, {});
    assert.deepEqual((await store.lookup(lock, "calc"))(hash), { name: "add", description: "Adds." });
    const unused = await store.keep("prompt", { name: "p" });
    await store.sweep([lock]);
    assert.equal(await store.get(unused), undefined);
    const [file = ""] = await readdir(path.join(folder, "definitions"));
    await writeFile(path.join(folder, "definitions", file), '{"name":"evil"}');
    assert.equal(await store.get(hash), undefined);
    for (const other of ["", "sha256:../../x", `sha256:${"0".repeat(64)}`])
      assert.equal(await store.get(other), undefined);
    assert.equal(await store.keep("tool", add), hash);
    assert.deepEqual(await store.get(hash), { name: "add", description: "Adds." });
  } finally {
    await rm(folder, { recursive: true });
  }
});
