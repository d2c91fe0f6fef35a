import assert from "node:assert/strict";
import { test } from "node:test";
import { serverConfigSchema } from "../contract/server.ts";
import { NOTHING_APPROVED } from "./approved.ts";
import { referTo } from "./config/references.ts";
import type { Managed } from "./managed.ts";
import { toServer } from "./server-view.ts";

const managed = { definitions: undefined, warm: undefined, installed: undefined, isUp: false } as Managed;
const TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

function view(config: object) {
  const record = { config: serverConfigSchema.parse(config), source: "/f", createdAt: "" };
  return toServer({ record, managed, approved: NOTHING_APPROVED, preparing: 0 }, []);
}

test("tokens that stand in a configuration are not shown to whoever asks what servers there are", () => {
  const machine = { network: { mode: "none" }, memoryMib: 512, cpus: 1, diskMib: 1024, idleTimeoutMs: 60_000 };
  const inVm = view({
    ...machine,
    kind: "vm",
    name: "a",
    command: ["npx", "server", `--token=${TOKEN}`, TOKEN, "https://me:hunter22@host.test/"],
    env: { GITHUB_TOKEN: TOKEN, MODE: "fast", KEY: referTo("KEY") },
  });
  const remote = view({
    kind: "remote",
    name: "b",
    url: "https://host.test/mcp",
    headers: { Authorization: `Bearer ${TOKEN}` },
  });
  for (const text of [JSON.stringify(inVm), JSON.stringify(remote)]) assert.doesNotMatch(text, /ghp_|hunter22/);
  assert.deepEqual(inVm.config.kind === "vm" && inVm.config.env, {
    GITHUB_TOKEN: "…",
    MODE: "…",
    KEY: referTo("KEY"),
  });
  assert.equal(inVm.config.kind === "vm" && inVm.config.command[1], "server");
});

test("a server is what it is known to be", () => {
  const config = { kind: "remote", name: "b", url: "https://host.test/mcp" };
  assert.equal(view(config).state, "new");
  assert.equal(view({ ...config, enabled: false }).state, "disabled");
});
