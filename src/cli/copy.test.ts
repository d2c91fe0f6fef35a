import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlace } from "./copy.ts";

test("a place is in a VM or on this host, and '-' is neither", () => {
  assert.deepEqual(parsePlace("web:/root/x"), { vm: "web", path: "/root/x" });
  assert.deepEqual(parsePlace("./web:x"), { path: "./web:x" });
  assert.deepEqual(parsePlace("./-"), { path: "./-" });
  assert.throws(() => parsePlace("web:x"), { code: "INVALID_PATH" });
  assert.throws(() => parsePlace("-"), { code: "INVALID_ARGUMENT" });
});
