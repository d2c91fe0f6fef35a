import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type AuditSetting, call, withAudit } from "../../test/support/audit-log.ts";
import { hasCode } from "../../test/support/has-code.ts";
import type { AuditCall } from "../contract/audit.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { openSegment } from "./segment-file.ts";
import { AuditService, type AuditServiceOptions } from "./service.ts";

function createService(setting: AuditSetting, options: Partial<AuditServiceOptions> = {}) {
  const logged: string[] = [];
  const service = new AuditService({
    folder: setting.folder,
    head: setting.head,
    key: () => Buffer.alloc(32, 7),
    settings: () => ({ keepsArguments: false, whenFailing: "continue" }),
    mask: (text) => text.replaceAll("hunter22", "[secret PASSWORD]"),
    log: (message) => logged.push(message),
    writeMs: 1,
    ...options,
  });
  return { service, logged };
}
const callsOf = async (service: AuditService) =>
  (await service.page({}, { limit: 100 })).entries.flatMap((entry) => ("note" in entry ? [] : [entry]));
const ARGUMENTS = { user: "me", password: "hunter22", deep: [{ "hunter22 is a key": "x hunter22" }] };

test("calls are recorded from the first on, without their arguments", () =>
  withAudit(async (setting) => {
    const { service } = createService(setting);
    service.record(call("a", { arguments: ARGUMENTS }));
    service.record(call("b"));
    service.requireWritable();
    const calls = await callsOf(service);
    assert.deepEqual(
      calls.map(({ tool }) => tool),
      ["a", "b"],
    );
    assert.ok(calls.every((entry) => !("arguments" in entry)));
    assert.deepEqual(await service.verify(), { ok: true, entries: 2 });
    await service.close();
    service.record(call("late"));
    assert.equal((await setting.verify()).entries, 2);
  }));

test("arguments are recorded where that is wanted, and no secret with them", () =>
  withAudit(async (setting) => {
    const { service } = createService(setting, { settings: () => ({ keepsArguments: true, whenFailing: "continue" }) });
    service.record(call("a", { arguments: ARGUMENTS }));
    service.record(call("b", { arguments: { text: "x".repeat(20_000), secret: "hunter22" } }));
    const [a, b] = await callsOf(service);
    const masked = "[secret PASSWORD]";
    assert.deepEqual(a?.arguments, { user: "me", password: masked, deep: [{ [`${masked} is a key`]: `x ${masked}` }] });
    assert.deepEqual(b?.arguments, { tooLong: 20_040 });
    await service.close();
  }));

test("arguments that cannot be masked are left out", () =>
  withAudit(async (setting) => {
    const mask = () => {
      throw new FirebreakError("SECRET_DAMAGED", "damaged");
    };
    const { service, logged } = createService(setting, {
      mask,
      settings: () => ({ keepsArguments: true, whenFailing: "continue" }),
    });
    service.record(call("a", { arguments: ARGUMENTS }));
    assert.deepEqual((await callsOf(service))[0]?.arguments, { notMasked: true });
    assert.match(logged.join(), /could not be masked/);
    await service.close();
  }));

test("words of any length and form are kept within bounds", () =>
  withAudit(async (setting) => {
    const { service } = createService(setting);
    const long = "\ud800".repeat(100_000);
    const client = { principal: long, name: long, version: long };
    service.record(call(long, { client, server: long, vm: long, code: long }) as AuditCall);
    const [entry] = await callsOf(service);
    assert.equal(entry?.tool?.length, 256);
    assert.ok(entry?.tool?.isWellFormed());
    assert.equal((await service.verify()).ok, true);
    await service.close();
  }));

test("without the vault's key calls go on, unless they are not to go on unrecorded", () =>
  withAudit(async (setting) => {
    let whenFailing: "continue" | "refuse" = "continue";
    let isThere = false;
    const key = () => {
      if (isThere) return Buffer.alloc(32, 7);
      throw new FirebreakError("VAULT_KEY_MISSING", "the vault's key is gone", { hint: "Put it back." });
    };
    const { service, logged } = createService(setting, {
      key,
      settings: () => ({ keepsArguments: false, whenFailing }),
    });
    service.record(call("a"));
    await assert.rejects(service.verify(), {
      code: "AUDIT_UNAVAILABLE",
      message: /the vault's key is gone/,
      hint: "Put it back.",
    });
    service.requireWritable();
    whenFailing = "refuse";
    assert.throws(() => service.requireWritable(), hasCode("AUDIT_UNAVAILABLE"));
    assert.deepEqual(logged, ["the audit log cannot be written"]);
    isThere = true;
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    service.record(call("b"));
    // What was called meanwhile is not forgotten.
    assert.deepEqual(
      (await callsOf(service)).map(({ tool }) => tool),
      ["a", "b"],
    );
    service.requireWritable();
    await service.close();
  }));

test("on a full disk calls go on and are told of afterwards, or are refused until there is space, as the settings say", () =>
  withAudit(async (setting) => {
    let [isFull, whenFailing] = [false, "continue" as "continue" | "refuse"];
    const { service, logged } = createService(setting, {
      settings: () => ({ keepsArguments: false, whenFailing }),
      open: (file) => {
        const real = openSegment(file);
        return {
          ...real,
          get sizeBytes() {
            return real.sizeBytes;
          },
          write: (bytes) => {
            if (isFull) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
            real.write(bytes);
          },
        };
      },
    });
    service.record(call("before"));
    await callsOf(service);
    isFull = true;
    service.record(call("meanwhile"));
    await callsOf(service);
    service.requireWritable();
    whenFailing = "refuse";
    assert.throws(() => service.requireWritable(), { code: "AUDIT_UNAVAILABLE", message: /ENOSPC.*when_failing/ });
    isFull = false;
    const tools = (await callsOf(service)).map(({ tool }) => tool);
    service.requireWritable();
    assert.deepEqual(tools, ["before", "meanwhile"]);
    assert.deepEqual(logged, ["the audit log cannot be written", "the audit log is written again"]);
    assert.deepEqual(await service.verify(), { ok: true, entries: 2 });
    await service.close();
  }));

test("a service removes what the settings have become too small for, and says so", () =>
  withAudit(async (setting) => {
    let retention = {};
    const settings = () => ({ keepsArguments: false, whenFailing: "continue", retention }) as const;
    const { service, logged } = createService(setting, { settings, maxSegmentBytes: 1_500 });
    for (let index = 0; index < 30; index++) service.record(call(`tool_${index}`));
    assert.deepEqual(await service.verify(), { ok: true, entries: 30 });
    retention = { maxBytes: 6_000 };
    await service.thin();
    const { ok, removed = 0 } = await service.verify();
    assert.ok(ok && removed > 10, `${removed}`);
    assert.ok((await callsOf(service)).length < 20);
    assert.match(logged.join(), /have been removed/);
    await service.close();
  }));

test("settings that cannot be read ask for more care, not for less", () =>
  withAudit(async (setting) => {
    const settings = () => {
      throw new FirebreakError("CONFIG_INVALID", "x");
    };
    await mkdir(setting.folder, { recursive: true });
    await rm(setting.folder, { recursive: true });
    await writeFile(setting.folder, "in the way of the folder");
    const { service } = createService(setting, { settings });
    service.record(call("a", { arguments: ARGUMENTS }));
    await assert.rejects(service.page({}, { limit: 1 }), hasCode("AUDIT_UNAVAILABLE"));
    assert.throws(() => service.requireWritable(), hasCode("AUDIT_UNAVAILABLE"));
    await service.close();
  }));

test("whoever follows is told of what has been written", () =>
  withAudit(async (setting) => {
    const { service } = createService(setting);
    const told = new Promise<void>((resolve) => service.onEntries(resolve));
    service.record(call("a"));
    await told;
    assert.equal((await callsOf(service)).length, 1);
    await service.close();
  }));
