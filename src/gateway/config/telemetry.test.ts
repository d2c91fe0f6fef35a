import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { readTelemetry } from "./telemetry.ts";

const TRACES = "http://127.0.0.1:4318/v1/traces";

test("traces go where the file says, or else where the environment does, or nowhere", (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-telemetry-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "firebreak.toml");
  const url = (env: NodeJS.ProcessEnv) => readTelemetry(file, env).url;
  assert.deepEqual(readTelemetry(file, {}), { url: undefined, sample: 1 });
  assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }), TRACES);
  assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318/" }), TRACES);
  const both = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://a", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://b/traces" };
  assert.equal(url(both), "https://b/traces");
  for (const none of ["", "  ", "localhost:4318", "ftp://a", "nonsense"])
    assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: none }), undefined, none);
  writeFileSync(file, `[telemetry]\ntraces = "${TRACES}"\nsample = 0.25\n`);
  assert.deepEqual(readTelemetry(file, both), { url: TRACES, sample: 0.25 });
  for (const off of [{ OTEL_SDK_DISABLED: "true" }, { OTEL_TRACES_EXPORTER: "none" }])
    assert.equal(url({ ...both, ...off }), undefined);
});

test("what is wrong is told with its line", (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-telemetry-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "firebreak.toml");
  for (const [line, message] of [
    ['traces = "collector:4318"', /:2: telemetry\.traces: a URL is wanted/],
    ["traces = true", /:2: telemetry\.traces: a URL is wanted/],
    ["sample = 2", /:2: telemetry\.sample: a number from 0 to 1/],
    ['trace = "http://a"', /no key 'telemetry\.trace', did you mean 'traces'\?/],
  ] as const) {
    writeFileSync(file, `[telemetry]\n${line}\n`);
    assert.throws(
      () => readTelemetry(file, {}),
      (error) => error instanceof FirebreakError && error.code === "CONFIG_INVALID" && message.test(error.message),
      line,
    );
  }
});
