import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { hasCode } from "../../../../test/support/has-code.ts";
import { placesBelow } from "./places.ts";

const file = (name: string) => ({ path: name, mediaType: "text/plain", sizeBytes: 1, digest: "sha256:0" });

test("a task's files are written below the directory that is named, whatever a daemon calls them", () => {
  const places = placesBelow("out", [file("a"), file("b/c d"), file("..x")]);
  assert.deepEqual(
    places.map(({ place }) => place),
    [path.join("out", "a"), path.join("out", "b", "c d"), path.join("out", "..x")],
  );
  for (const name of ["../x", "a/../../x", "/etc/x", "a//b", "", ".", "..", "a/.", "a\0b"])
    assert.throws(() => placesBelow("out", [file("good"), file(name)]), hasCode("ARCHIVE_INVALID"), name);
});
