import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { getRequestListener } from "@hono/node-server";
import { AuditService } from "../../src/audit/service.ts";
import { DaemonClient } from "../../src/client/daemon-client.ts";
import { API_VERSION, API_VERSION_HEADER } from "../../src/contract/api-version.ts";
import type { AuditEntry } from "../../src/contract/audit.ts";
import { createApi } from "../../src/daemon/api/app.ts";
import type { Caller } from "../../src/daemon/api/context.ts";
import { type AuditSetting, call, withAudit } from "../support/audit-log.ts";
import { hasCode } from "../support/has-code.ts";
import { waitFor } from "../support/wait-for.ts";

interface Served {
  audit: AuditService;
  client: DaemonClient;
  socketPath: string;
  setting: AuditSetting;
}

/** The daemon's API with nothing but an audit log behind it. */
async function withApi(work: (served: Served) => Promise<void>, caller: Caller = { via: "socket" }): Promise<void> {
  await withAudit(async (setting) => {
    const audit = new AuditService({
      folder: setting.folder,
      head: setting.head,
      key: () => Buffer.alloc(32, 7),
      settings: () => ({ keepsArguments: false, whenFailing: "continue" }),
      mask: (value) => value,
      log: () => {},
      writeMs: 1,
      maxSegmentBytes: 4_000,
    });
    const api = createApi({ audit, log: () => {} } as never);
    const listener = getRequestListener((request, env) => api.fetch(request, { ...env, caller }), {
      overrideGlobalObjects: false,
    });
    const server = http.createServer((incoming, outgoing) => {
      outgoing.setHeader(API_VERSION_HEADER, API_VERSION);
      return listener(incoming, outgoing);
    });
    const socketPath = path.join(path.dirname(setting.folder), "api.sock");
    server.listen(socketPath);
    await once(server, "listening");
    try {
      await work({ audit, client: new DaemonClient(socketPath), socketPath, setting });
    } finally {
      server.closeAllConnections();
      server.close();
      await audit.close();
    }
  });
}

const toolsOf = (entries: AuditEntry[]) => entries.map((entry) => ("note" in entry ? "note" : entry.tool));

test("the audit log is read in pages and by filters, verified and exported over the API", () =>
  withApi(async ({ audit, client, setting }) => {
    for (let index = 0; index < 30; index++) audit.record(call(`t${index}`, { server: index % 2 ? "git" : "files" }));
    assert.deepEqual(toolsOf((await client.audit.list({ limit: 2 })).entries), ["t28", "t29"]);
    const page = await client.audit.list({ after: 0, limit: 2, server: "git" });
    assert.deepEqual([toolsOf(page.entries), page.more], [["t1", "t3"], true]);
    assert.deepEqual((await client.audit.list({ verdict: "denied" })).entries, []);
    assert.deepEqual((await client.audit.list({ client: "codex" })).entries, []);
    assert.equal((await client.audit.list({ since: "2020-01-01T01:00:00+02:00" })).entries.length, 30);
    assert.deepEqual((await client.audit.list({ since: "2999-01-01T00:00:00Z" })).entries, []);
    await assert.rejects(client.audit.list({ since: "yesterday" }), hasCode("INVALID_ARGUMENT"));
    await assert.rejects(client.audit.list({ limit: 0 }), hasCode("INVALID_ARGUMENT"));
    assert.deepEqual(await client.audit.verify(), { ok: true, entries: 30 });
    const lines = (await text(await client.audit.export({}, "jsonl"))).trim().split("\n");
    assert.equal(lines.length, 30);
    assert.equal(JSON.parse(lines[7] ?? "").tool, "t7");
    assert.equal((await text(await client.audit.export({ server: "git" }, "csv"))).trim().split("\r\n").length, 16);
    const file = path.join(setting.folder, "0000000000000001.jsonl");
    const bytes = await readFile(file);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(file, bytes);
    const checked = await client.audit.verify();
    assert.deepEqual([checked.ok, checked.entries, checked.firstBad?.line], [false, 0, 1]);
  }));

test("whoever follows gets each entry once and in order, as lines or as a stream", () =>
  withApi(async ({ audit, client, socketPath }) => {
    for (const tool of ["a", "b"]) audit.record(call(tool));
    const ending = new AbortController();
    const seen: (string | undefined)[] = [];
    const following = (async () => {
      for await (const entry of client.audit.follow({ after: 1, server: "files" }, { signal: ending.signal }))
        seen.push(...toolsOf([entry]));
    })();
    await waitFor(() => seen.length === 1);
    audit.record(call("other", { server: "git" }));
    for (let index = 0; index < 1_200; index++) audit.record(call(`c${index}`));
    await waitFor(() => seen.length === 1_201);
    ending.abort();
    await following.catch(() => {});
    assert.deepEqual(seen, ["b", ...Array.from({ length: 1_200 }, (_, index) => `c${index}`)]);

    const request = http.get({
      socketPath,
      path: "/v1/audit?server=git",
      headers: { accept: "text/event-stream", "last-event-id": "2" },
    });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.equal(response.headers["content-type"], "text/event-stream");
    const [event] = (await once(response.setEncoding("utf8"), "data")) as [string];
    assert.match(event, /^id: 3\nevent: call\ndata: \{.*"tool":"other"/);
    request.destroy();
  }));

test("a call that is reported is that of whoever reports it, and of firebreak's own tools", () =>
  withApi(
    async ({ client }) => {
      const report = { tool: "vm_list", requestBytes: 2, responseBytes: 3, durationMs: 1, verdict: "ok" } as const;
      await client.audit.report({ ...report, client: { name: "codex" }, arguments: { a: 1 } });
      const [entry] = (await client.audit.list()).entries;
      assert.ok(entry !== undefined && !("note" in entry));
      assert.deepEqual(entry.client, { principal: "ci", name: "codex" });
      assert.equal(entry.server, "firebreak");
      const forged = { ...report, server: "files", client: { principal: "local" } } as never;
      await assert.rejects(client.audit.report(forged), hasCode("INVALID_ARGUMENT"));
    },
    { via: "tcp", key: { id: "1", name: "ci" } },
  ));

/** Appends until it is killed, and says how many it has. */
const CHILD = `
  import { toKey } from ${JSON.stringify(new URL("../../src/audit/entry.ts", import.meta.url).href)};
  import { AuditLog } from ${JSON.stringify(new URL("../../src/audit/log.ts", import.meta.url).href)};
  import { call } from ${JSON.stringify(new URL("../support/audit-log.ts", import.meta.url).href)};
  const [folder, head] = process.argv.slice(-2);
  import { readFileSync, renameSync, writeFileSync } from "node:fs";
  const log = await AuditLog.open({
    folder, key: toKey(Buffer.alloc(32, 7)), maxSegmentBytes: 200_000, writeMs: 1, syncMs: 5,
    head: {
      get: () => { try { return JSON.parse(readFileSync(head, "utf8")); } catch { return undefined; } },
      set: (point) => { writeFileSync(head + ".new", JSON.stringify(point)); renameSync(head + ".new", head); },
    },
  });
  log.onWritten(() => process.stdout.write("."));
  for (;;) {
    for (let index = 0; index < 200; index++) log.append(call("x".repeat(index)));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
`;

test("a process that is killed as it appends leaves a chain that goes on", () =>
  withAudit(async (setting) => {
    const head = path.join(path.dirname(setting.folder), "head");
    let before = 0;
    for (let round = 0; round < 6; round++) {
      const args = [
        "--disable-warning=ExperimentalWarning",
        "--input-type=module-typescript",
        "-e",
        CHILD,
        "--",
        setting.folder,
        head,
      ];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const wanted = 5 + round * 7;
      for await (const dots of child.stdout.setEncoding("utf8")) {
        before += dots.length;
        if (before > wanted) break;
      }
      child.kill("SIGKILL");
      await once(child, "exit");
      before = 0;
    }
    setting.head.point = JSON.parse(await readFile(head, "utf8"));
    const log = await setting.open();
    await log.close();
    const checked = await setting.verify();
    assert.equal(checked.ok, true, JSON.stringify(checked));
    assert.ok(checked.entries > 1_000, `${checked.entries}`);
  }));
