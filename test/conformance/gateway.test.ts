import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { runSuite } from "./suite.ts";

const PACKAGES = ["@modelcontextprotocol/server", "@modelcontextprotocol/core", "zod"];
const SOURCES = ["src/mcp/conformance", "test/fixtures/conformance-server.ts"];
/** What is known to fail; of a suite against a server of its own era, nothing. */
const expectedFor = (server: string, revision: string) => {
  const isOwn = (server === "modern") === (revision === "2026-07-28");
  return path.join(
    import.meta.dirname,
    isOwn ? "expected-failures.yml" : `expected-failures-${server}-${revision}.yml`,
  );
};

let fixture: DaemonFixture;
let proxy: http.Server;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
  await importImage();
  await fixture.client.servers.apply({
    source: "conformance",
    servers: ["legacy", "modern"].map((era) =>
      vmServer(era, "", {
        image: "conformance",
        command: [
          "/usr/bin/node",
          "--disable-warning=ExperimentalWarning",
          "/srv/test/fixtures/conformance-server.ts",
          era,
        ],
      }),
    ),
  });
  // The suite waits for no first start.
  for (const server of ["legacy", "modern"]) await fixture.client.servers.start(server);
  proxy = await startProxy();
});
after(async () => {
  proxy?.close();
  proxy?.closeAllConnections();
  await fixture.close();
});

/** Most of a package's files are for others than Node: types, maps, CommonJS, and what there was before. */
function isNeeded(file: string): boolean {
  const name = path.relative(PACKAGE_ROOT, file);
  if (!name.startsWith("node_modules/")) return true;
  return !/\.(map|cjs|d\.[cm]?ts|ts|md)$|\/zod\/(src|v3|mini|v4-mini)(\/|$)|\/v4\/mini$/.test(name);
}

/** An image with Node, the fixtures' server, the packages that it needs, and nothing else: no VM is needed to make it. */
async function importImage(): Promise<void> {
  const root = path.join(fixture.folder, "rootfs");
  const put = async (from: string, to: string, options: { filter?: (file: string) => boolean } = {}) => {
    await mkdir(path.dirname(path.join(root, to)), { recursive: true });
    await cp(from, path.join(root, to), { recursive: true, dereference: true, ...options });
  };
  await put(process.execPath, "usr/bin/node");
  const libraries = execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ""] of libraries) await put(library, library);
  for (const file of [...SOURCES, ...PACKAGES.map((name) => `node_modules/${name}`)])
    await put(path.join(PACKAGE_ROOT, file), path.join("srv", file), { filter: isNeeded });
  await writeFile(path.join(root, "srv/package.json"), JSON.stringify({ type: "module" }));
  for (const name of ["bin", "etc", "tmp", "root"]) await mkdir(path.join(root, name), { recursive: true });
  await copyFile("/bin/busybox", path.join(root, "bin/busybox"));
  await symlink("busybox", path.join(root, "bin/sh"));
  await writeFile(path.join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  await fixture.ok("image", "import", root, "--name", "conformance");
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
    for (const [revision, flag, least] of [
      ["2026-07-28", "--requirements", 37],
      ["2025-11-25", "--spec-version", 31],
    ] as const)
      test(`of revision ${revision}`, async () => {
        const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/servers/${server}/mcp`;
        const expected = expectedFor(server, revision);
        const args = [flag, revision, "--expected-failures", expected];
        const { exitCode, output } = await runSuite(url, args, fixture.folder);
        assert.equal(exitCode, 0, output);
        // A run of nothing would pass as well.
        const passed = output.match(/^✓ [\w-]+: [1-9]\d* passed, 0 failed/gm) ?? [];
        const excused = (await readFile(expected, "utf8")).match(/^ {2}- /gm) ?? [];
        assert.ok(passed.length >= least - excused.length, output);
      });
  });
}
