import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { runSuite } from "./suite.ts";

const PACKAGES = ["@modelcontextprotocol/server", "@modelcontextprotocol/core", "zod"];
const SOURCES = ["src/mcp/conformance", "test/fixtures/conformance-server.ts"];
/** What is known to fail of a suite of one era against a server of the other. */
const EXPECTED = (server: string) => path.join(import.meta.dirname, `expected-failures-${server}.yml`);

let fixture: DaemonFixture;
let proxy: http.Server;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
  await useStockImage();
  await buildImage();
  await fixture.client.servers.apply({
    source: "conformance",
    servers: ["legacy", "modern"].map((era) =>
      vmServer(era, "", {
        image: "conformance",
        command: ["node", "--disable-warning=ExperimentalWarning", "/srv/test/fixtures/conformance-server.ts", era],
      }),
    ),
  });
  proxy = await startProxy();
});
after(async () => {
  proxy?.close();
  proxy?.closeAllConnections();
  await fixture.close();
});

/** A copy of the one that all tests share: this one adds another. */
async function useStockImage(): Promise<void> {
  const home = process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test");
  await cp(path.join(home, "images"), fixture.paths.images, { recursive: true, force: true });
}

/** Most of a package's files are for others than Node: types, maps, CommonJS, and what there was before. */
function isNeeded(file: string): boolean {
  const name = file.slice(PACKAGE_ROOT.length);
  if (!name.startsWith("/node_modules/")) return true;
  return !/\.(map|cjs|d\.[cm]?ts|ts|md)$|\/zod\/(src|v3|mini|v4-mini)(\/|$)|\/v4\/mini$/.test(name);
}

/** An image with the fixtures' server and the packages that it needs, as anybody would build it. */
async function buildImage(): Promise<void> {
  const context = path.join(fixture.folder, "context");
  for (const file of [...SOURCES, ...PACKAGES.map((name) => `node_modules/${name}`)]) {
    await mkdir(path.dirname(path.join(context, file)), { recursive: true });
    await cp(path.join(PACKAGE_ROOT, file), path.join(context, file), { recursive: true, filter: isNeeded });
  }
  await writeFile(path.join(context, "package.json"), JSON.stringify({ type: "module" }));
  const [stock] = (await fixture.client.images.list()).flatMap(({ tags }) => tags);
  assert.ok(stock, "there is no stock image");
  await writeFile(path.join(context, "Dockerfile"), `FROM ${stock}\nWORKDIR /srv\nCOPY . /srv/\n`);
  const args = ["image", "build", "--file", path.join(context, "Dockerfile"), context, "--name", "conformance"];
  const { exitCode, stderr } = await fixture.cli(args, { timeoutMs: 600_000 });
  assert.equal(exitCode, 0, stderr);
}

/** The suite knows no API keys: what it sends goes on as it is, with one. */
async function startProxy(): Promise<http.Server> {
  const { key } = await fixture.json<{ key: string }>("key", "create", "suite");
  await fixture.client.listen({ address: "127.0.0.1:0" });
  const target = new URL(String((await fixture.client.status()).listen?.url));
  const server = http.createServer((incoming, outgoing) => {
    const request = http.request(
      {
        host: target.hostname,
        port: target.port,
        path: incoming.url,
        method: incoming.method,
        headers: { ...incoming.headers, authorization: `Bearer ${key}` },
      },
      (response) => {
        outgoing.writeHead(response.statusCode ?? 500, response.headers);
        outgoing.flushHeaders();
        response.pipe(outgoing);
        response.on("error", () => outgoing.destroy());
      },
    );
    request.on("error", () => outgoing.destroy());
    outgoing.on("close", () => request.destroy());
    incoming.pipe(request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

for (const server of ["legacy", "modern"]) {
  describe(`through the gateway, a ${server} server in a VM passes the protocol's conformance suite`, () => {
    for (const [name, args, least] of [
      ["all that revision 2026-07-28 requires", ["--requirements", "2026-07-28"], 37],
      ["all that is tested of revision 2025-11-25", ["--spec-version", "2025-11-25"], 31],
    ] as const)
      test(name, async () => {
        const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/servers/${server}/mcp`;
        const expected = ["--expected-failures", EXPECTED(server)];
        const { exitCode, output } = await runSuite(url, [...args, ...expected], fixture.folder);
        assert.equal(exitCode, 0, output);
        // A run of nothing would pass as well.
        const passed = output.match(/^✓ [\w-]+: [1-9]\d* passed, 0 failed/gm) ?? [];
        const excused = (await readFile(EXPECTED(server), "utf8")).match(/^ {2}- /gm) ?? [];
        assert.ok(passed.length >= least - excused.length, output);
      });
  });
}
