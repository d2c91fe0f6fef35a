import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { parseCount, parseDurationMs, parseEnv, parseMib } from "./parse.ts";

const isInvalid = (error: unknown) => error instanceof FirebreakError && error.code === "INVALID_ARGUMENT";

test("sizes are MiB unless they say otherwise", () => {
  assert.deepEqual(
    ["512", "512M", "2G", "1.5GiB", "1T"].map((text) => parseMib("--memory", text)),
    [512, 512, 2048, 1536, 1_048_576],
  );
  for (const bad of ["", "x", "-1", "5Q", "1e9"]) assert.throws(() => parseMib("--memory", bad), isInvalid, bad);
});

test("times are seconds unless they say otherwise", () => {
  assert.deepEqual(
    ["30", "30s", "500ms", "5m", "1h"].map((text) => parseDurationMs("--timeout", text)),
    [30_000, 30_000, 500, 300_000, 3_600_000],
  );
  for (const bad of ["", "0", "abc", "-5", "5y"])
    assert.throws(() => parseDurationMs("--timeout", bad), isInvalid, bad);
});

test("counts are whole numbers", () => {
  assert.equal(parseCount("--cpus", "4"), 4);
  for (const bad of ["", "1.5", "-1", "two"]) assert.throws(() => parseCount("--cpus", bad), isInvalid, bad);
});

test("an environment pair may hold '=' in its value, and a name alone passes the shell's value on", () => {
  assert.deepEqual(parseEnv(["A=b=c", "B"], { B: "2" }), { A: "b=c", B: "2" });
  assert.throws(() => parseEnv(["MISSING"], {}), isInvalid);
  assert.throws(() => parseEnv(["1A=x"], {}), isInvalid);
});
