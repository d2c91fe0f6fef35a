import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { artifactUri, consoleUri, fileUri, outputUri, parseUri, snapshotUri, vmUri } from "./uri.ts";

test("what is written as a URI is read back as it was", () => {
  const word = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }).filter((text) => !/[/\0]/.test(text));
  fc.assert(
    fc.property(word, fc.array(word, { maxLength: 5 }), (name, words) => {
      const path = `/${words.join("/")}`;
      const page = { length: 65536 };
      assert.deepEqual(parseUri(vmUri(name)), { kind: "vm", vm: name });
      assert.deepEqual(parseUri(consoleUri(name)), { kind: "console", vm: name, page });
      assert.deepEqual(parseUri(fileUri(name, path)), { kind: "file", vm: name, path, page });
      assert.deepEqual(parseUri(outputUri(name, name)), { kind: "output", vm: name, exec: name, page });
      assert.deepEqual(parseUri(snapshotUri(name)), { kind: "snapshot", snapshot: name });
      assert.deepEqual(parseUri(artifactUri(name)), { kind: "artifact", artifact: name, page });
    }),
  );
});

test("a page is chosen by offset and length, within bounds", () => {
  const page = (query: string) => (parseUri(`firebreak://vms/web/console?${query}`) as { page?: unknown })?.page;
  assert.deepEqual(page("offset=7&length=100"), { offset: 7, length: 100 });
  for (const query of ["offset=-1", "length=3", "length=9999999", "offset=1e3", "tail=1", "offset=x"])
    assert.equal(page(query), undefined, query);
});

test("what is none of ours is nothing", () => {
  for (const uri of [
    "",
    "firebreak:",
    "firebreak://",
    "firebreak://vms/",
    "firebreak://vms//console",
    "firebreak://vms/web/",
    "firebreak://vms/web?x=1",
    "firebreak://vms/web/disk",
    "firebreak://vms/web/execs/e1",
    "firebreak://vms/web/files/a%2Fb",
    "firebreak://vms/web/files/a%00b",
    "firebreak://vms/web/files/%zz",
    "firebreak://vms/web#part",
    "firebreak://artifacts/",
    "firebreak://artifacts/a/b",
    "firebreak://artifacts?offset=1",
    "firebreak://constructor",
    "file:///etc/passwd",
    `firebreak://vms/web/files/${"x".repeat(20_000)}`,
  ])
    assert.equal(parseUri(uri), undefined, uri);
});
