import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { type ServerConfig, serverConfigSchema } from "../contract/server.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { withFirejailProfiles } from "./config/firejail-profiles.ts";
import { confine } from "./firejail.ts";

const vm = (name: string) =>
  serverConfigSchema.parse({
    kind: "vm",
    name,
    command: ["x"],
    network: { mode: "none" },
    memoryMib: 256,
    cpus: 1,
    diskMib: 512,
    idleTimeoutMs: 1_000,
  });

/** A guest that has those files, and keeps what it is sent. */
function guest(files: string[]) {
  const written: Record<string, string> = {};
  const client = {
    stat: async (file: string) => {
      if (!files.includes(file)) throw new FirebreakError("FILE_NOT_FOUND", file);
      return { type: "file" };
    },
    writeFile: async (file: string, body: NodeJS.ReadableStream) => {
      written[file] = await text(body);
    },
  } as unknown as GuestClient;
  return { client, written };
}

test("a server runs within Firejail where its image has it, with the profile of its name", async () => {
  const { client, written } = guest(["/usr/bin/firejail"]);
  const server = { name: "git", firejail: "net none\n" };
  assert.deepEqual(await confine(client, server, ["npx", "-y", "x"], {}), {
    argv: ["/usr/bin/firejail", "--quiet", "--profile=/etc/firejail/firebreak/git.profile", "--", "npx", "-y", "x"],
  });
  assert.deepEqual(written, { "/etc/firejail/firebreak/git.profile": "net none\n" });
});

test("without Firejail it runs as it is, with a warning; without a profile there is nothing to say", async () => {
  const { client, written } = guest([]);
  const { argv, warning } = await confine(client, { name: "git", firejail: "net none\n" }, ["x"], {});
  assert.deepEqual([argv, written], [["x"], {}]);
  assert.match(warning ?? "", /profiles\/git\.profile is not applied: there is no Firejail in the image/);
  assert.deepEqual(await confine(guest(["/usr/bin/firejail"]).client, { name: "git" }, ["x"], {}), { argv: ["x"] });
});

test("profiles are found beside the file by the names of servers, and what is none is told of", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-profiles-"));
  try {
    const file = path.join(folder, "servers.json");
    const servers = [vm("github-mcp"), vm("other")];
    const found = () =>
      withFirejailProfiles(servers, file).map((server: ServerConfig) => server.kind === "vm" && server.firejail);
    assert.deepEqual(found(), [undefined, undefined]);
    mkdirSync(path.join(folder, "profiles"));
    writeFileSync(path.join(folder, "profiles", "GitHub_MCP.profile"), "net none\n");
    writeFileSync(path.join(folder, "profiles", "README"), "");
    assert.deepEqual(found(), ["net none\n", undefined]);
    mkdirSync(path.join(folder, "profiles", "other.profile"));
    assert.throws(found, /other\.profile: it is no file/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
