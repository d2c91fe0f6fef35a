import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMount } from "./mount-spec.ts";

test("a mount is a host path, with a path in the guest and an access if need be", () => {
  assert.deepEqual(parseMount("./a"), { hostPath: "./a", access: "ro" });
  assert.deepEqual(parseMount("/a:rw"), { hostPath: "/a", access: "rw" });
  assert.deepEqual(parseMount("/a:ro"), { hostPath: "/a", access: "ro" });
  assert.deepEqual(parseMount("/a:/b"), { hostPath: "/a", guestPath: "/b", access: "ro" });
  assert.deepEqual(parseMount("/a:/b:rw"), { hostPath: "/a", guestPath: "/b", access: "rw" });
  // A file of that name.
  assert.deepEqual(parseMount("rw"), { hostPath: "rw", access: "ro" });
});

test("anything else is refused", () => {
  for (const text of ["", ":", ":/b", "/a:", "/a::rw", "/a:/b:/c", "/a:/b:rw:ro", "/a:/b:wr"])
    assert.throws(() => parseMount(text), { code: "INVALID_ARGUMENT" }, text);
});
