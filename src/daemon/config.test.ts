import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import {
  parseConfig,
  readAuditSettings,
  readConfig,
  readPrices,
  readTrust,
  toTaskSettings,
  watchConfig,
} from "./config.ts";

const refusal = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof FirebreakError && error.code === code && message.test(error.message);

test("prices are read, and a disk costs nothing unless said otherwise", () => {
  const { prices } = parseConfig('[prices]\ncurrency = "EUR"\ncpu_hour = 0.02\ngib_hour = 0.01\n', "f");
  assert.deepEqual(prices, { currency: "EUR", cpu_hour: 0.02, gib_hour: 0.01, disk_gib_hour: 0 });
});

test("what is wrong with a file is named, and a misspelt key's nearest", () => {
  const base = 'currency = "EUR"\ncpu_hour = 1\ngib_hour = 1\n';
  for (const [text, message] of [
    ["[price]\n", /^f:1: there is no key 'price', did you mean 'prices'\?/],
    [`[prices]\n${base}cpu_hours = 1\n`, /^f:5: there is no key 'prices.cpu_hours', did you mean 'cpu_hour'\?/],
    [`[prices]\n${base.replace("gib_hour", "gib_hours")}`, /no key 'prices.gib_hours', did you mean 'gib_hour'\?/],
    [`[prices]\n${base}zzz = 1\n`, /there are currency, cpu_hour/],
    ['[prices]\ncurrency = "euro"\ncpu_hour = 1\ngib_hour = 1\n', /^f:2: prices.currency: a currency is/],
    ['[prices]\ncurrency = "EUR"\ncpu_hour = -1\ngib_hour = 1\n', /prices.cpu_hour: a price is/],
    ["[network]\ntrusts = []\n", /no key 'network.trusts', did you mean 'trust'\?/],
    ['[network]\ntrust = ["ca.pem"]\n', /^f:2: network.trust\[0\]: an absolute path/],
    ["[vms]\nmemory_overcommit = 0.5\n", /^f:2: vms.memory_overcommit: a number from 1/],
    ["[prices\n", /^f:1: /],
  ] as const)
    assert.throws(() => parseConfig(text, "f"), refusal("CONFIG_INVALID", message), text);
});

test("certificates to trust are read from the files that are named, and what is none is told", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-config-"));
  const file = path.join(folder, "firebreak.toml");
  const ca = path.join(folder, "ca.pem");
  assert.equal(readTrust(file), undefined);
  writeFileSync(file, `[network]\ntrust = ["${ca}"]\n`);
  assert.throws(() => readTrust(file), refusal("CONFIG_INVALID", /ca\.pem cannot be read \(ENOENT\)/));
  writeFileSync(ca, "nothing of the kind");
  assert.throws(() => readTrust(file), refusal("CONFIG_INVALID", /holds no certificate/));
  const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  writeFileSync(
    ca,
    `words\n${pem}\nmore words\n${pem}\n-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n`,
  );
  assert.equal(readTrust(file), `${pem}\n${pem}`);
  writeFileSync(ca, pem.replace("AAAA", "A".repeat(70_000)));
  assert.throws(() => readTrust(file), refusal("CONFIG_INVALID", /more than 61440 bytes/));
  rmSync(folder, { recursive: true });
});

test("a file that is not there says nothing, and no price is made up", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-config-"));
  const file = path.join(folder, "firebreak.toml");
  assert.deepEqual(await readConfig(file), {});
  await assert.rejects(readPrices(file), refusal("PRICES_NOT_SET", /no \[prices\]/));
  writeFileSync(file, '[prices]\ncurrency = "USD"\ncpu_hour = 1\ngib_hour = 2\n');
  assert.equal((await readPrices(file)).gib_hour, 2);
  rmSync(folder, { recursive: true });
});

test("how much memory is kept for others is read anew each time, and a file that is wrong meanwhile changes nothing", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-config-"));
  const file = path.join(folder, "firebreak.toml");
  const logged: string[] = [];
  const read = watchConfig(
    file,
    ({ vms }) => vms?.memory_overcommit ?? 4,
    (message) => void logged.push(message),
  );
  assert.equal(read(), 4);
  writeFileSync(file, "[vms]\nmemory_overcommit = 1.0\n");
  assert.equal(read(), 1);
  assert.equal(logged.length, 0);
  writeFileSync(file, "[vms]\nmemory_overcommit =");
  assert.equal(read(), 1);
  assert.equal(logged.length, 1);
  rmSync(folder, { recursive: true });
});

test("how much of the audit log is kept is a time, a size, or both, and nothing that would remove it by mistake", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-config-"));
  const file = path.join(folder, "firebreak.toml");
  const read = (text: string) => {
    writeFileSync(file, text);
    return readAuditSettings(file).retention;
  };
  assert.deepEqual(read(""), { keepMs: undefined, maxBytes: undefined });
  assert.deepEqual(read('[audit]\nkeep = "90d"\n'), { keepMs: 90 * 86_400_000, maxBytes: undefined });
  assert.deepEqual(read('[audit]\nmax_size = "1G"\n'), { keepMs: undefined, maxBytes: 1024 ** 3 });
  for (const wrong of ['keep = "90 days"', "keep = 90", 'keep = "0d"', 'max_size = "10K"', "max_size = 0"])
    assert.throws(
      () => read(`[audit]\n${wrong}\n`),
      refusal("CONFIG_INVALID", /firebreak\.toml:2: audit\.\w+: a (time|size) of at least/),
      wrong,
    );
  rmSync(folder, { recursive: true });
});

test("[tasks] storage is a bucket, with what holds without the rest; what is none is told of", () => {
  const storageOf = (text: string) => toTaskSettings(parseConfig(`[tasks]\n${text}`, "f.toml")).storage;
  assert.deepEqual(storageOf('storage = "s3://results/a/b/"'), {
    bucket: "results",
    prefix: "a/b",
    endpoint: undefined,
    region: "us-east-1",
    keys: { id: "AWS_ACCESS_KEY_ID", secret: "AWS_SECRET_ACCESS_KEY", token: undefined },
  });
  assert.equal(storageOf(""), undefined);
  for (const wrong of ["s3://", "s3://Results", "s3://results/../x", "https://results"])
    assert.throws(() => storageOf(`storage = "${wrong}"`), { code: "CONFIG_INVALID" }, wrong);
});

test("[tasks] caps are those of the queue, with what holds without them", () => {
  const settingsOf = (text: string) => toTaskSettings(parseConfig(`[tasks]\n${text}`, "f.toml"));
  const byProcessors = 2 * os.availableParallelism();
  const { maxRunning, maxCpus, maxPerUser, maxPerLabel, keepMs, budget } = settingsOf("");
  assert.deepEqual(
    [maxRunning, maxCpus, maxPerUser, maxPerLabel, keepMs, budget],
    [byProcessors, byProcessors, undefined, {}, 30 * 24 * 3600_000, undefined],
  );
  const own = settingsOf(
    [
      'max_running = 900\nmax_per_user = 2\nmax_per_label = { team = 3, "team=ops" = 1 }',
      'keep = "2d"\nbudget_per_user = 5\nbudget_window = "7d"',
    ].join("\n"),
  );
  assert.deepEqual([own.maxRunning, own.maxCpus, own.maxPerUser], [900, 900, 2]);
  assert.deepEqual(own.maxPerLabel, { team: 3, "team=ops": 1 });
  assert.deepEqual([own.keepMs, own.budget], [2 * 24 * 3600_000, { perUserUsd: 5, windowMs: 7 * 24 * 3600_000 }]);
  assert.equal(settingsOf("max_cpus = 3").maxCpus, 3);
  for (const wrong of ["max_running = 0", "max_cpus = 0", "max_per_user = -1", "max_per_label = 3", 'keep = "soon"'])
    assert.throws(() => settingsOf(wrong), { code: "CONFIG_INVALID" }, wrong);
});
