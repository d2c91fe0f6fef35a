import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type ConnectProxy, openConnectProxy } from "../support/connect-proxy.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type NpmRegistry, openNpmRegistry } from "../support/npm-registry.ts";

/** npm on a directory of this host that a VM sees live: many small files, renames of folders, links, and programs that are run from there. */

const FILES = 100;
let registry: NpmRegistry;
let proxy: ConnectProxy;
let fixture: DaemonFixture;
let host: string;
before(async () => {
  registry = await openNpmRegistry("http://registry.test/");
  const many = Object.fromEntries(
    Array.from({ length: FILES }, (_, index) => [`lib/d${index % 20}/f${index}.js`, `module.exports = ${index};\n`]),
  );
  const sum = `#!/usr/bin/env node\nlet sum = 0;\nfor (let i = 0; i < ${FILES}; i++) sum += require(\`many/lib/d\${i % 20}/f\${i}.js\`);\nconsole.log(sum);\n`;
  registry.publish({ name: "many", version: "1.0.0", files: many });
  registry.publish({
    name: "sum",
    version: "1.0.0",
    files: { "cli.js": sum },
    bin: { sum: "cli.js" },
    dependencies: { many: "^1.0.0" },
  });
  proxy = await openConnectProxy({ "registry.test:80": registry.port });
  fixture = await startDaemonFixture({ env: { ...proxy.env, npm_config_registry: "http://registry.test/" } });
  host = path.join(fixture.folder, "project");
  mkdirSync(host);
  writeFileSync(path.join(host, "package.json"), JSON.stringify({ name: "project", dependencies: { sum: "1.0.0" } }));
  await fixture.ok("vm", "create", "dev", "--memory", "1G", "--allow", "registries", "--mount", `${host}:/src:rw`);
});
after(async () => {
  await fixture?.close();
  proxy?.close();
  registry?.close();
});

const npm = async (...words: string[]) => {
  const env = ["--env", "npm_config_registry=http://registry.test/"];
  const command = ["vm", "exec", "dev", "--cwd", "/src", ...env, "--", ...words];
  const { exitCode, stdout, stderr } = await fixture.cli(command, { timeoutMs: 600_000 });
  assert.equal(exitCode, 0, stderr);
  return stdout;
};

test("packages are installed, run, installed anew from the lock and removed; this host sees all of it", async () => {
  await npm("npm", "install", "--no-audit", "--no-fund");
  const inHost = (name: string) => path.join(host, name);
  assert.ok(lstatSync(inHost("node_modules/.bin/sum")).isSymbolicLink());
  assert.equal(readdirSync(inHost("node_modules/many/lib"), { recursive: true }).length, FILES + 20);
  const total = `${(FILES * (FILES - 1)) / 2}\n`;
  assert.equal(await npm("node_modules/.bin/sum"), total);
  writeFileSync(inHost("node_modules/many/lib/d1/f1.js"), "module.exports = 'spoilt by this host';\n");
  await npm("npm", "ci", "--no-audit", "--no-fund");
  assert.equal(readFileSync(inHost("node_modules/many/lib/d1/f1.js"), "utf8"), "module.exports = 1;\n");
  assert.equal(await npm("npx", "--no", "sum"), total);
  await npm("npm", "uninstall", "sum", "--no-audit", "--no-fund");
  assert.equal(existsSync(inHost("node_modules/many")), false);
  assert.deepEqual(JSON.parse(readFileSync(inHost("package.json"), "utf8")).dependencies ?? {}, {});
});
