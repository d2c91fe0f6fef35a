import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readRegistries, readRegistryUrls } from "./registries.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "fb-reg-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (name: string, text: string) => {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
};
const read = (env: NodeJS.ProcessEnv = {}) => readRegistries({ home: path.join(root, "home"), env, root });

test("a host that is set up with none has those that everybody uses", () => {
  const rules = read();
  for (const rule of [
    "registry.npmjs.org:443",
    "pypi.org:443",
    "index.crates.io:443",
    "proxy.golang.org:443",
    "deb.debian.org:80",
  ])
    assert.ok(rules.includes(rule), rule);
});

test("mirrors of each package manager take the place of its defaults, and no credentials come along", () => {
  put(
    "home/.npmrc",
    "registry=https://user:secret@npm.mirror.example:8443/\n@corp:registry=https://corp.example/npm/\n",
  );
  put(
    "home/.config/pip/pip.conf",
    "[global]\nindex-url = https://token:secret@pip.mirror.example/simple\nextra-index-url = https://two.example\n",
  );
  put(
    "home/.cargo/config.toml",
    '[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://cargo.mirror.example/"\n',
  );
  put("home/.config/go/env", "GOPROXY=https://go.mirror.example,direct\nGOSUMDB=off\n");
  put("etc/apt/sources.list", "# nothing\n");
  put("etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: http://apt.mirror.example/debian\n");
  const rules = read();
  assert.deepEqual(rules, [
    "npm.mirror.example:8443",
    "corp.example:443",
    "pip.mirror.example:443",
    "two.example:443",
    "cargo.mirror.example:443",
    "go.mirror.example:443",
    "apt.mirror.example:80",
  ]);
});

test("a registry on this host may be reached though it is private, and one without a name is left out", () => {
  const rules = read({ npm_config_registry: "http://localhost:4873/", PIP_INDEX_URL: "http://10.0.0.1/simple" });
  assert.deepEqual(rules[0], { host: "localhost", ports: "4873", private: true });
  assert.ok(!JSON.stringify(rules).includes("10.0.0.1"));
});

test("what a VM's package managers are told is what this host's use: variables before files, and no scope's or extra index", () => {
  const urls = (env: NodeJS.ProcessEnv = {}) => readRegistryUrls({ home: path.join(root, "home"), env, root });
  put("home/.npmrc", "@corp:registry=https://corp.example/npm/\nregistry=https://u:p@npm.example/\n");
  put("etc/npmrc", "registry=https://whole.example/\n");
  put("etc/pip.conf", "[global]\nextra-index-url = https://two.example\nindex-url = https://one.example/simple\n");
  assert.deepEqual(urls(), { npm: "https://npm.example/", pip: "https://one.example/simple" });
  assert.deepEqual(urls({ npm_config_registry: "http://mine.example/", PIP_INDEX_URL: "https://three.example/" }), {
    npm: "http://mine.example/",
    pip: "https://three.example/",
  });
});

test("files that are no configuration are no error", () => {
  put("home/.cargo/config.toml", "not toml [");
  put("home/.npmrc", "\0\0\0");
  mkdirSync(path.join(root, "etc/apt/sources.list"), { recursive: true });
  assert.ok(read().includes("registry.npmjs.org:443"));
});
