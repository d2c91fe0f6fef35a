import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmServer } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { formOf, readServersFile } from "./read.ts";

const context = { home: "/home/u", folder: "/proj" };
const read = (text: string, file = "firebreak.toml") => readServersFile(text, file, context);
const first = (text: string) => read(text).servers[0] as VmServer;

function failure(text: string, file = "f.toml"): string {
  try {
    readServersFile(text, file, context);
  } catch (error) {
    assert.ok(error instanceof FirebreakError && error.code === "CONFIG_INVALID", String(error));
    return error.message;
  }
  assert.fail(`it was read: ${text}`);
}

test("the servers of the README are read as they stand, and get what they name and nothing else", () => {
  const { servers, warnings } = read(`
[servers.filesystem]
vm_profile = "filesystem-readonly"
allowed_paths = ["/home/user/documents"]
network = "none"

[servers.github]
vm_profile = "network-only"
allowed_hosts = ["api.github.com"]
secrets = ["GITHUB_TOKEN"]

[servers.database]
vm_profile = "database-client"
allowed_hosts = ["db.internal:5432"]
secrets = ["DATABASE_URL"]
`);
  const [files, github, database] = servers as [VmServer, VmServer, VmServer];
  assert.deepEqual(warnings, []);
  assert.deepEqual(files.mounts, [
    { path: "/home/user/documents", at: "/home/user/documents", access: "ro", mode: "live" },
  ]);
  assert.deepEqual([files.network, files.secrets], [{ mode: "none" }, []]);
  assert.deepEqual(files.command.slice(-2), ["@modelcontextprotocol/server-filesystem", "/home/user/documents"]);
  assert.deepEqual(github.network, { mode: "allowlist", allow: ["api.github.com"] });
  assert.deepEqual([github.mounts, github.secrets], [[], [{ name: "GITHUB_TOKEN" }]]);
  assert.equal(github.env.GITHUB_PERSONAL_ACCESS_TOKEN, "$" + "{secret:GITHUB_TOKEN}");
  assert.deepEqual(database.network, { mode: "allowlist", allow: [{ host: "db.internal:5432", private: true }] });
  assert.deepEqual(database.command.at(-1), "$" + "{secret:DATABASE_URL}");
});

test("every key of a server comes to what it says", () => {
  const server = first(`
[servers.all]
command = ["node", "server.js"]
image = "debian"
cwd = "work"
allowed_paths = ["~/docs", "data:rw", "/srv/x:/inside", "./y:/y:ro", { path = "z", access = "rw", mode = "copy" }]
allowed_hosts = ["api.example.com", { host = "db.example.com:5432", private = true }]
denied_hosts = ["bad.example.com"]
host_addresses = { "db.example.com" = "10.0.0.1" }
secrets = ["A_TOKEN", { name = "B_TOKEN", hosts = ["api.example.com"], expose = "env" }]
env = { LEVEL = "debug", PORT = 80, ON = true }
memory = "1G"
cpus = 2
disk = 4096
idle_timeout = "90s"
session_timeout = "8h"
isolation = "session"
tools = { allow = ["read_*"], deny = ["read_all"], rename = { read_one = "one" } }
limits = { calls_per_minute = 60, concurrent_calls = 2, result_size = "64K", call_timeout = "30s" }
enabled = false
labels = { team = "infra" }
`);
  assert.deepEqual(server, {
    kind: "vm",
    name: "all",
    enabled: false,
    command: ["node", "server.js"],
    args: [],
    cwd: "/proj/work",
    image: "debian",
    mounts: [
      { path: "/home/u/docs", at: "/home/u/docs", access: "ro", mode: "live" },
      { path: "/proj/data", at: "/proj/data", access: "rw", mode: "live" },
      { path: "/srv/x", at: "/inside", access: "ro", mode: "live" },
      { path: "/proj/y", at: "/y", access: "ro", mode: "live" },
      { path: "/proj/z", at: "/proj/z", access: "rw", mode: "copy" },
    ],
    network: {
      mode: "allowlist",
      allow: ["api.example.com", { host: "db.example.com:5432", private: true }],
      deny: ["bad.example.com"],
      hosts: { "db.example.com": "10.0.0.1" },
    },
    secrets: [{ name: "A_TOKEN" }, { name: "B_TOKEN", hosts: ["api.example.com"], expose: "env" }],
    env: { LEVEL: "debug", PORT: "80", ON: "true" },
    memoryMib: 1024,
    cpus: 2,
    diskMib: 4096,
    idleTimeoutMs: 90_000,
    sessionTimeoutMs: 8 * 3_600_000,
    resident: false,
    isolation: "session",
    tools: { allow: ["read_*"], deny: ["read_all"], rename: { read_one: "one" } },
    limits: { callsPerMinute: 60, concurrentCalls: 2, resultBytes: 65_536, callTimeoutMs: 30_000 },
    labels: { team: "infra" },
    profile: [],
  });
});

test("a command is a list, or a program and args; an image has a command of its own", () => {
  assert.deepEqual(first('[servers.a]\ncommand = "npx"\nargs = ["-y", "x"]\n').command, ["npx", "-y", "x"]);
  assert.deepEqual(first('[servers.a]\ncommand = "npx"\n').command, ["npx"]);
  const { command, args, image } = first('[servers.a]\nimage = "x/y"\nargs = ["stdio"]\n');
  assert.deepEqual([command, args, image], [[], ["stdio"], "x/y"]);
});

test("a server of a well-known name needs no command, and one that opens pages takes the addresses of a VM", () => {
  assert.deepEqual(first("[servers.time]\n").command, ["uvx", "mcp-server-time"]);
  const fetch = first('[servers.fetch]\nallowed_hosts = ["a.example"]\n');
  assert.deepEqual(fetch.command, ["uvx", "mcp-server-fetch", "--allow-private-ips"]);
});

test("without a word about the network there is none, and hosts imply the list of them", () => {
  assert.deepEqual(first('[servers.a]\ncommand = "x"\n').network, { mode: "none" });
  assert.deepEqual(first('[servers.a]\ncommand = "x"\nallowed_hosts = ["a.example"]\n').network, {
    mode: "allowlist",
    allow: ["a.example"],
  });
  assert.deepEqual(first('[servers.a]\ncommand = "x"\nnetwork = "public"\n').network, { mode: "public" });
  assert.deepEqual(
    first('[servers.a]\ncommand = "x"\nnetwork = "nat"\nallowed_hosts = ["10.1.0.0/16:5432"]\n').network,
    {
      mode: "nat",
      allow: ["10.1.0.0/16:5432"],
    },
  );
});

test("remote servers have a url, and what is said of all servers", () => {
  const { servers } = read(
    '[defaults]\nmemory = "1G"\n[servers.far]\nurl = "https://mcp.example.com/mcp"\ntransport = "sse"\nheaders = { Authorization = "Bearer x" }\nlabels = { a = "b" }\n',
  );
  assert.deepEqual(servers[0], {
    kind: "remote",
    name: "far",
    enabled: true,
    url: "https://mcp.example.com/mcp",
    transport: "sse",
    headers: { Authorization: "Bearer x" },
    tools: {},
    limits: {},
    labels: { a: "b" },
  });
});

test("what is wrong is told with file, line, key and the nearest known key", () => {
  const start = '[servers.a]\ncommand = "x"\n';
  for (const [text, message] of [
    ["[server.a]\n", /^f\.toml:1: there is no key 'server', did you mean 'servers'\?$/],
    ["[servers\n", /^f\.toml:1: /],
    [`${start}memroy = 1\n`, /^f\.toml:3: there is no key 'servers\.a\.memroy', did you mean 'memory'\?$/],
    [`${start}zzzzzz = 1\n`, /^f\.toml:3: there is no key 'servers\.a\.zzzzzz', there are image, /],
    [`${start}memory = "big"\n`, /^f\.toml:3: servers\.a\.memory: 'big' is not a size/],
    [`${start}memory = 1\n`, /^f\.toml:3: servers\.a\.memory: /],
    [`${start}cpus = 1.5\n`, /^f\.toml:3: servers\.a\.cpus: a whole number/],
    [`${start}cpus = 1000\n`, /^f\.toml:3: servers\.a\.cpus: /],
    [`${start}idle_timeout = "soon"\n`, /^f\.toml:3: servers\.a\.idle_timeout: 'soon' is not a time/],
    [`${start}network = "all"\n`, /^f\.toml:3: servers\.a\.network: it is one of none, allowlist, public, nat$/],
    [
      `${start}\n\nallowed_hosts = [\n  "ok.example",\n  "http://x/",\n]\n`,
      /^f\.toml:7: servers\.a\.allowed_hosts\[1\]: /,
    ],
    [`${start}allowed_hosts = ["githb"]\n`, /^f\.toml:3: servers\.a\.allowed_hosts\[0\]: .*'githb'.*'github'/],
    [
      `${start}allowed_hosts = [{ hots = "x.example" }]\n`,
      /^f\.toml:3: .*allowed_hosts\[0\]\.hots', did you mean 'host'/,
    ],
    [`${start}allowed_paths = ["/a:/etc"]\n`, /^f\.toml:3: servers\.a\.allowed_paths\[0\]: a VM has things of its own/],
    [`${start}allowed_paths = ["/"]\n`, /^f\.toml:3: servers\.a\.allowed_paths\[0\]: a VM has things of its own/],
    [`${start}allowed_paths = ["/a:rx"]\n`, /^f\.toml:3: .*'rx' is not ro or rw/],
    [`${start}allowed_paths = ["~other/x"]\n`, /^f\.toml:3: .*only the home/],
    [`${start}allowed_paths = ["/a:/m", "/b:/m"]\n`, /^f\.toml:3: .*\[1\]: another path is seen at \/m/],
    [`${start}secrets = ["not a name"]\n`, /^f\.toml:3: servers\.a\.secrets\[0\]: /],
    [`${start}env = { "A B" = "x" }\n`, /^f\.toml:3: servers\.a\.env\."A B": an environment name/],
    [`${start}[servers.a.env]\nX = "1"\n"A B" = "x"\n`, /^f\.toml:5: servers\.a\.env\."A B"/],
    [`${start}env.LEVEL = ["x"]\n`, /^f\.toml:3: servers\.a\.env\.LEVEL: a text is wanted/],
    [
      `${start}tools = { alow = [] }\n`,
      /^f\.toml:3: there is no key 'servers\.a\.tools\.alow', did you mean 'allow'\?/,
    ],
    [
      `${start}limits.calls = 1\n`,
      /^f\.toml:3: there is no key 'servers\.a\.limits\.calls', did you mean 'calls_per_minute'/,
    ],
    [`${start}tools = { deny = [\n"a",\n5] }\n`, /^f\.toml:5: servers\.a\.tools\.deny\[1\]: /],
    [`${start}limits.result_size = "x"\n`, /^f\.toml:3: servers\.a\.limits\.result_size: 'x' is not a size/],
    ['[servers]\n\n"a" = 5\n', /^f\.toml:3: servers\.a: /],
    ['[servers.GitHub_MCP]\ncommand = "x"\n', /^f\.toml:1: servers\.GitHub_MCP: .* did you mean 'github-mcp'\?/],
    ["[servers.a]\n", /^f\.toml:1: servers\.a: nobody has said what it is/],
    ['[servers.a]\ncommand = "npx -y thing"\n', /^f\.toml:2: servers\.a\.command: .*spaces/],
    ["[servers.a]\ncommand = []\n", /^f\.toml:2: servers\.a\.command: /],
    ['x = """\n[servers.a]\nmemroy = 1\n"""\n', /^f\.toml:1: there is no key 'x'/],
    ['[servers."a"]\ncommand = """\n\n"""\nimage = 5\n', /^f\.toml:5: servers\.a\.image: /],
  ] as const)
    assert.match(failure(text), message, text);
});

test("combinations that cannot be are errors at the key that is too much", () => {
  const start = '[servers.a]\ncommand = "x"\n';
  for (const [text, message] of [
    [
      `${start}network = "none"\nallowed_hosts = ["a.example"]\n`,
      /^f\.toml:4: servers\.a\.allowed_hosts: network = "none"/,
    ],
    [
      `${start}network = "public"\nallowed_hosts = ["a.example"]\n`,
      /^f\.toml:4: servers\.a\.allowed_hosts: network = "public"/,
    ],
    [`${start}network = "none"\ndenied_hosts = ["a.example"]\n`, /^f\.toml:4: servers\.a\.denied_hosts: /],
    [`${start}network = "nat"\nallowed_hosts = ["a.example"]\n`, /^f\.toml:4: servers\.a\.allowed_hosts\[0\]: .*IPv4/],
    [`${start}secrets = ["TOKEN"]\n`, /^f\.toml:3: servers\.a\.secrets\[0\]: without a network/],
    [`${start}url = "https://x.example/"\n`, /^f\.toml:2: servers\.a\.command: it is of servers in a VM/],
    [
      `[servers.a]\nurl = "https://x.example/"\nmemory = "1G"\n`,
      /^f\.toml:3: servers\.a\.memory: it is of servers in a VM/,
    ],
    [`[servers.a]\nurl = "https://x.example/"\nvm_profile = "isolated"\n`, /^f\.toml:3: servers\.a\.vm_profile/],
    [`[servers.a]\nurl = "ftp://x.example/"\n`, /^f\.toml:2: servers\.a\.url: /],
    [`${start}headers = { A = "b" }\n`, /^f\.toml:3: servers\.a\.headers: it is of servers that have a url/],
    ['[servers.a]\nargs = ["x"]\n', /^f\.toml:2: servers\.a\.args: there is no command/],
    ['[servers.a]\ncommand = ["x"]\nargs = ["y"]\n', /^f\.toml:3: servers\.a\.args: a command that is a list/],
    [`${start}resident = true\nidle_timeout = "5m"\n`, /^f\.toml:4: servers\.a\.idle_timeout: a resident server/],
    [`${start}resident = true\nisolation = "session"\n`, /^f\.toml:4: servers\.a\.isolation: a resident server/],
    [`${start}session_timeout = "1h"\n`, /^f\.toml:3: servers\.a\.session_timeout: it is of servers with isolation/],
    [
      `${start}isolation = "session"\nsession_timeout = "soon"\n`,
      /^f\.toml:4: .*session_timeout: 'soon' is not a time/,
    ],
    [`${start}isolation = "session"\nsession_timeout = "8d"\n`, /^f\.toml:4: .*session_timeout: at most 7 days/],
    [`${start}env = { K = "\${secret:NO}" }\n`, /^f\.toml:3: servers\.a\.env\.K: it needs the secret NO/],
    [`[servers.a]\ncommand = ["x", "\${secret:NO}"]\n`, /^f\.toml:2: servers\.a\.command: it needs the secret NO/],
    [
      `${start}allowed_hosts = ["a.example"]\nsecrets = ["T"]\nenv = { T = "x" }\n`,
      /^f\.toml:5: servers\.a\.env\.T: the secret T is the variable/,
    ],
    [`${start}allowed_hosts = ["a.example"]\nsecrets = ["T", "T"]\n`, /^f\.toml:4: servers\.a\.secrets\[1\]: .*twice/],
    [
      `${start}allowed_hosts = ["a.example"]\ndenied_hosts = ["a.example"]\n`,
      /^f\.toml:3: servers\.a\.allowed_hosts\[0\]: it can never match/,
    ],
    [
      `${start}tools.rename = { x = "one", y = "one" }\n`,
      /^f\.toml:3: servers\.a\.tools\.rename\.y: another tool is named 'one'/,
    ],
    [
      `${start}allowed_hosts = ["a.example"]\nsecrets = [
{ name = "T", hosts = ["http://x"] }]\n`,
      /^f\.toml:5: servers\.a\.secrets\[0\]\.hosts\[0\]: /,
    ],
    ['[servers.filesystem]\nnetwork = "none"\n', /^f\.toml:1: servers\.filesystem\.allowed_paths: there is no path/],
  ] as const)
    assert.match(failure(text), message, text);
});

test("a workspace is a copy at /mcp-workspace: the defaults' for all, as far as a profile lets them see anything", () => {
  const text = `
[defaults]
workspace = "~/project"
[servers.writer]
command = "x"
[servers.reader]
vm_profile = "filesystem-readonly"
command = "x"
[servers.blind]
vm_profile = "network-only"
command = "x"
allowed_hosts = ["a.example"]
[servers.own]
command = "x"
workspace = "own"
[servers.far]
url = "https://mcp.example.com/mcp"
`;
  const mountsOf = (more = {}) =>
    readServersFile(text, "f.toml", { ...context, ...more }).servers.map((server) =>
      server.kind === "vm" ? server.mounts.map(({ path, access }) => `${path}:${access}`).join() : "remote",
    );
  assert.deepEqual(mountsOf(), ["/home/u/project:rw", "/home/u/project:ro", "", "/proj/own:rw", "remote"]);
  assert.deepEqual(mountsOf({ workspace: "/w" }), ["/w:rw", "/w:ro", "", "/proj/own:rw", "remote"]);
  const { servers } = readServersFile('{"mcpServers":{"a":{"command":"x"}}}', "m.json", {
    ...context,
    workspace: "/w",
  });
  assert.deepEqual((servers[0] as VmServer).mounts, [{ path: "/w", at: "/mcp-workspace", access: "rw", mode: "copy" }]);
  assert.match(
    failure('[servers.a]\ncommand = "x"\nvm_profile = "network-only"\nworkspace = "w"\n'),
    /f\.toml:4: servers\.a\.workspace: .*no path of this host/,
  );
});

test("nothing is seen within a copy, nor is anything copied into what is seen live", () => {
  for (const [outer, inner] of [
    ["copy", "live"],
    ["live", "copy"],
    ["copy", "copy"],
  ])
    assert.match(
      failure(
        `[servers.a]\ncommand = "x"\nallowed_paths = [{ path = "/a", at = "/w", mode = "${outer}" }, { path = "/b", at = "/w/x", mode = "${inner}" }]\n`,
      ),
      /f\.toml:3: servers\.a\.allowed_paths: \/w\/x lies within \/w/,
    );
  const apart = '[{ path = "/a", at = "/w" }, { path = "/b", at = "/w2" }]';
  assert.equal(first(`[servers.a]\ncommand = "x"\nmount_mode = "copy"\nallowed_paths = ${apart}\n`).mounts.length, 2);
});

test("a secret that is in the environment itself needs no network", () => {
  assert.deepEqual(first('[servers.a]\ncommand = "x"\nsecrets = [{ name = "T", expose = "env" }]\n').secrets, [
    { name: "T", expose: "env" },
  ]);
});

test("what is not wrong and not what it seems is a warning with its line", () => {
  const { warnings } = read('[servers.a]\ncommand = "x"\n\nallowed_hosts = ["*.com"]\n');
  assert.equal(warnings[0]?.line, 4);
  assert.equal(warnings[0]?.key, "servers.a.allowed_hosts[0]");
  assert.match(
    read('[servers.a]\ncommand = "x"\nnetwork = "allowlist"\n').warnings[0]?.message ?? "",
    /nothing can be reached/,
  );
});

test("the file's own sets of rules are known, and those of the installation", () => {
  const text =
    '[network.sets]\ntools = ["tool.example.com"]\n[servers.a]\ncommand = "x"\nallowed_hosts = ["tools", "github"]\n';
  assert.deepEqual(first(text).network.allow, ["tools", "github"]);
});

test("prices and network may stand in the same file, and are checked there, too", () => {
  assert.deepEqual(read('[prices]\ncurrency = "EUR"\ncpu_hour = 1\ngib_hour = 1\n').servers, []);
  assert.match(
    failure("[network]\ntrusts = []\n"),
    /^f\.toml:2: there is no key 'network\.trusts', did you mean 'trust'/,
  );
});

test("a file is TOML or JSON by its name, and by how it begins", () => {
  assert.equal(formOf("{", "x.toml"), "toml");
  assert.equal(formOf("x", "x.jsonc"), "json");
  assert.equal(formOf("// c\n{}", "stdin"), "json");
  assert.equal(formOf("\n[servers.a]", "stdin"), "toml");
});
