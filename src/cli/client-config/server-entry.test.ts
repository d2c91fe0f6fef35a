import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { enabledServers } from "./per-server.ts";
import { commandFor, httpEntry, isOwnEntry, reachableBase, stdioEntry } from "./server-entry.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "fb-entry-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a program is named bare only where the PATH leads to this very one", () => {
  const program = path.join(folder, "package", "firebreak");
  for (const name of ["package", "bin", "others"]) mkdirSync(path.join(folder, name));
  writeFileSync(program, "");
  writeFileSync(path.join(folder, "others", "firebreak"), "");
  symlinkSync("../package/firebreak", path.join(folder, "bin", "firebreak"));
  const [bin, others] = [path.join(folder, "bin"), path.join(folder, "others")];
  const name = (searchPath: string | undefined, isDesktop = false) => commandFor(program, { isDesktop, searchPath });
  assert.equal(name(`/nowhere:${bin}:${others}`), "firebreak");
  assert.equal(name(`${others}:${bin}`), program);
  assert.equal(name(undefined), program);
  // A desktop does not have the PATH that this shell has.
  assert.equal(name(bin, true), program);
});

test("the whole of firebreak, or one server, over stdio and by URL", () => {
  const stdio = (server?: string, env = {}) =>
    stdioEntry(server === undefined ? {} : { server }, { command: "firebreak", env, keyEnv: "K" });
  assert.deepEqual(stdio(), { transport: "stdio", command: "firebreak", args: ["serve", "mcp"], env: {} });
  assert.deepEqual(stdio("github", { FIREBREAK_HOME: "/fb", FIREBREAK_API_KEY: "secret" }), {
    transport: "stdio",
    command: "firebreak",
    args: ["mcp", "run", "github"],
    env: { FIREBREAK_HOME: "/fb" },
  });
  const remote = stdio(undefined, { FIREBREAK_URL: "https://vms", FIREBREAK_API_KEY: "secret" });
  assert.deepEqual(remote, {
    transport: "stdio",
    command: "firebreak",
    args: ["serve", "mcp"],
    env: { FIREBREAK_URL: "https://vms" },
    keyEnv: "K",
  });
  const servers = stdioEntry({ isServers: true }, { command: "firebreak", env: {}, keyEnv: "K" });
  assert.deepEqual(servers.transport === "stdio" && servers.args, ["serve", "mcp", "--servers"]);
  const parts = { base: "http://h:1/", path: "/servers", suffix: "/mcp" };
  assert.deepEqual(httpEntry({}, parts, "K"), { transport: "http", url: "http://h:1/mcp", isSse: false, keyEnv: "K" });
  const all = httpEntry({ isServers: true }, parts, "K");
  assert.equal(all.transport === "http" && all.url, "http://h:1/mcp?toolsets=none");
  assert.deepEqual(httpEntry({ server: "a b" }, { ...parts, suffix: "/sse" }, undefined), {
    transport: "http",
    url: "http://h:1/servers/a%20b/sse",
    isSse: true,
  });
  assert.equal(
    (httpEntry({ server: "a" }, { ...parts, base: "http://h:1/mcp" }, "K") as { url: string }).url,
    "http://h:1/servers/a/mcp",
  );
  assert.equal(reachableBase("http://0.0.0.0:9600"), "http://127.0.0.1:9600");
  assert.equal(reachableBase("http://[::]:9600"), "http://[::1]:9600");
});

test("entries of others are told from ours", () => {
  for (const entry of [
    { command: "/x/firebreak", args: [] },
    { command: ["firebreak", "mcp", "run", "a"] },
    { url: "http://h/servers/a/mcp", bearer_token_env_var: "FIREBREAK_API_KEY" },
  ])
    assert.ok(isOwnEntry(entry, "a", undefined), JSON.stringify(entry));
  for (const entry of [{ command: "npx" }, { url: "https://mcp.example.com/mcp" }, {}, "x", null]) {
    assert.ok(!isOwnEntry(entry, "a", undefined), JSON.stringify(entry));
    assert.ok(isOwnEntry(entry, "firebreak", undefined));
  }
  const wanted = (url: string) => ({ transport: "http", url, isSse: false }) as const;
  assert.ok(isOwnEntry({ url: "http://old:1/servers/a/mcp" }, "a", wanted("http://new:2/servers/a/mcp")));
  assert.ok(!isOwnEntry({ url: "https://mcp.example.com/mcp" }, "a", wanted("http://new:2/mcp")));
});

test("of a file of servers those count that are not turned off", () => {
  const servers =
    '{"a":{"command":"x"},"b":{"command":"x","disabled":true},"c":{"command":"x","enabled":false},"d":{"enabled":true}, /* e */}';
  for (const key of ["mcpServers", "servers", "mcp"])
    assert.deepEqual(enabledServers(`{"${key}":${servers}}`), ["a", "d"]);
  assert.throws(() => enabledServers("{}"), hasCode("CLIENT_CONFIG_INVALID"));
  assert.throws(() => enabledServers('{"mcpServers":['), hasCode("CLIENT_CONFIG_INVALID"));
});
