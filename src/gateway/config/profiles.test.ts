import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmServer } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { readServersFile } from "./read.ts";

const context = { home: "/home/u", folder: "/proj" };
const read = (text: string) => readServersFile(text, "f.toml", context);
const first = (text: string) => read(text).servers[0] as VmServer;

function failure(text: string): string {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof FirebreakError && error.code === "CONFIG_INVALID", String(error));
    return error.message;
  }
  assert.fail(`it was read: ${text}`);
}

test("defaults come first, then profiles in order, then the server's own", () => {
  const server = first(`
[defaults]
memory = "256M"
cpus = 2
env = { A = "defaults", B = "defaults" }

[profiles.one]
memory = "512M"
env = { B = "one", C = "one" }
allowed_hosts = ["one.example"]
allowed_paths = ["/one"]

[profiles.two]
disk = "1G"
env = { C = "two" }
allowed_hosts = ["two.example"]

[servers.a]
vm_profile = ["one", "two"]
command = "x"
memory = "1G"
allowed_hosts = ["own.example"]
env = { D = "own" }
`);
  assert.deepEqual(server.env, { A: "defaults", B: "one", C: "two", D: "own" });
  assert.deepEqual([server.memoryMib, server.cpus, server.diskMib], [1024, 2, 1024]);
  assert.deepEqual(server.network.allow, ["one.example", "two.example", "own.example"]);
  assert.deepEqual(server.profile, ["one", "two"]);
  assert.equal(server.mounts[0]?.path, "/one");
});

test("a profile extends others, and what several extend counts once", () => {
  const server = first(`
[profiles.base]
allowed_hosts = ["base.example"]
[profiles.left]
extends = "base"
memory = "1G"
[profiles.right]
extends = ["base"]
cpus = 4
[profiles.both]
extends = ["left", "right"]
[servers.a]
vm_profile = "both"
command = "x"
`);
  assert.deepEqual([server.memoryMib, server.cpus, server.network.allow], [1024, 4, ["base.example"]]);
});

test("a server's other network drops the hosts that came with its profiles", () => {
  const profile = '[profiles.p]\nallowed_hosts = ["a.example"]\n[servers.a]\nvm_profile = "p"\ncommand = "x"\n';
  assert.deepEqual(first(`${profile}network = "none"\n`).network, { mode: "none" });
  assert.deepEqual(first(`${profile}network = "public"\n`).network, { mode: "public" });
});

test("a profile that allows less is an error at the key that asks for more", () => {
  const server = (profile: string, rest: string) => `[servers.a]\ncommand = "x"\nvm_profile = "${profile}"\n${rest}\n`;
  for (const [text, message] of [
    [
      server("filesystem-readonly", 'allowed_paths = ["/a", "/b:rw"]'),
      /^f\.toml:4: servers\.a\.allowed_paths\[1\]: the profile filesystem-readonly allows no path to write to/,
    ],
    [
      server("filesystem-readonly", 'allowed_hosts = ["a.example"]'),
      /^f\.toml:4: servers\.a\.allowed_hosts\[0\]: .*allows no network$/,
    ],
    [server("filesystem-readwrite", 'network = "public"'), /^f\.toml:4: servers\.a\.network: .*allows no network$/],
    [
      server("network-only", 'allowed_hosts = ["a.example"]\nallowed_paths = ["/a"]'),
      /^f\.toml:5: .*allows no path of this host/,
    ],
    [server("network-only", 'network = "public"'), /^f\.toml:4: servers\.a\.network: .*no network but allowlist/],
    [
      server("database-client", 'allowed_hosts = ["db.example:22"]'),
      /^f\.toml:4: servers\.a\.allowed_hosts\[0\]: .*allows the ports 1433, .*5432/,
    ],
    [server("database-client", 'allowed_hosts = ["db.example"]'), /name the port, such as db\.example:/],
    [server("isolated", 'allowed_paths = ["/a"]'), /^f\.toml:4: .*no path of this host/],
  ] as const)
    assert.match(failure(text), message, text);
});

test("several profiles allow what one of them allows; what one extends it can only narrow", () => {
  const { mounts, network } = first(
    '[servers.a]\ncommand = "x"\nvm_profile = ["filesystem-readonly", "network-only"]\nallowed_paths = ["/a"]\nallowed_hosts = ["a.example"]\n',
  );
  assert.deepEqual([mounts.length, network.mode], [1, "allowlist"]);
  const narrowed = (only: string, rest: string) =>
    `[profiles.p]\nextends = "filesystem-readwrite"\nonly = ${only}\n[servers.a]\nvm_profile = "p"\ncommand = "x"\n${rest}\n`;
  assert.match(
    failure(narrowed('{ access = "ro" }', 'allowed_paths = ["/a:rw"]')),
    /^f\.toml:7: .*no path to write to/,
  );
  assert.match(failure(narrowed('{ network = ["public"] }', 'network = "public"')), /^f\.toml:7: .*allows no network/);
});

test("what narrows a profile leaves what both of them allow", () => {
  const narrowed = (parent: string, only: string, rest: string) =>
    `[profiles.p]\nextends = "${parent}"\nonly = ${only}\n[servers.a]\nvm_profile = "p"\ncommand = "x"\n${rest}\n`;
  const web = (rest: string) => narrowed("web-research", '{ network = ["public", "nat"], access = "rw" }', rest);
  assert.equal(first(web('network = "public"')).network.mode, "public");
  assert.match(failure(web('allowed_hosts = ["a.example"]')), /^f\.toml:7: .*no network but public$/);
  assert.match(failure(web('network = "nat"')), /no network but public$/);
  assert.match(failure(web('network = "public"\nallowed_paths = ["/a"]')), /no path of this host/);
  const at = (port: number) =>
    narrowed("database-client", '{ ports = "5000-6000,9999" }', `allowed_hosts = ["a.example:${port}"]`);
  assert.equal(first(at(5432)).network.mode, "allowlist");
  for (const port of [3306, 5555, 9999]) assert.match(failure(at(port)), /allows the ports 5432-5433, 5439 alone/);
});

test("[defaults] only holds for every server; what else defaults say yields to a profile", () => {
  const text = '[defaults]\nonly = { network = ["allowlist"] }\n[servers.a]\ncommand = "x"\nnetwork = "public"\n';
  assert.match(failure(text), /^f\.toml:5: servers\.a\.network: \[defaults\] allow no network but allowlist/);
  const server = first(
    '[defaults]\nnetwork = "public"\nallowed_paths = ["/shared"]\n[servers.a]\ncommand = "x"\nvm_profile = "isolated"\n',
  );
  assert.deepEqual([server.network, server.mounts], [{ mode: "none" }, []]);
});

test("what is wrong with a profile is told whether or not a server has it", () => {
  for (const [text, message] of [
    [
      '[profiles.a]\nextends = "b"\n[profiles.b]\nextends = ["a"]\n',
      /^f\.toml:4: profiles\.b\.extends\[0\]: profiles extend one another: a, b, a/,
    ],
    ['[profiles.a]\nextends = "a"\n', /^f\.toml:2: profiles\.a\.extends: profiles extend one another/],
    ['[profiles.a]\nextends = "nobody"\n', /^f\.toml:2: profiles\.a\.extends: there is no profile 'nobody'/],
    [
      '[servers.a]\ncommand = "x"\nvm_profile = "filesystem-readnly"\n',
      /^f\.toml:3: servers\.a\.vm_profile: .*did you mean 'filesystem-readonly'/,
    ],
    [
      '[servers.a]\ncommand = "x"\nvm_profile = ["isolated", "web-reserch"]\n',
      /^f\.toml:3: servers\.a\.vm_profile\[1\]: .*'web-research'/,
    ],
    [
      '[profiles.filesystem-readonly]\nmemory = "1G"\n',
      /^f\.toml:1: profiles\.filesystem-readonly: there is a built-in profile/,
    ],
    ['[profiles.a]\nmemroy = "1G"\n', /^f\.toml:2: there is no key 'profiles\.a\.memroy', did you mean 'memory'/],
    ['[profiles.a]\nmemory = "much"\n', /^f\.toml:2: profiles\.a\.memory: 'much' is not a size/],
    ['[profiles.a]\nonly = { ports = "x" }\n', /^f\.toml:2: profiles\.a\.only\.ports: /],
    ['[profiles.a]\nonly = { acces = "ro" }\n', /^f\.toml:2: .*did you mean 'access'/],
    ['[profiles.a]\nnetwork = "none"\nallowed_hosts = ["a.example"]\n', /^f\.toml:3: profiles\.a\.allowed_hosts/],
    ["[profiles.A_B]\n", /^f\.toml:1: profiles\.A_B: a profile's name/],
    ['[defaults]\ncommand = "x"\n', /^f\.toml:2: there is no key 'defaults\.command'/],
  ] as const)
    assert.match(failure(text), message, text);
});

test("a rule of a profile that cannot be meant is told where it stands", () => {
  assert.match(
    failure('[profiles.p]\nallowed_hosts = ["http://x/"]\n[servers.a]\ncommand = "x"\nvm_profile = "p"\n'),
    /^f\.toml:2: profiles\.p\.allowed_hosts\[0\]: /,
  );
});

test("profiles are listed, the built-in ones first", () => {
  const { profiles } = read('[profiles.mine]\ndescription = "of mine"\nextends = "network-only"\n');
  assert.deepEqual(profiles.at(-1), {
    name: "mine",
    isBuiltIn: false,
    description: "of mine",
    extends: ["network-only"],
  });
  assert.ok(profiles.some(({ name, isBuiltIn }) => name === "database-client" && isBuiltIn));
});
