import assert from "node:assert/strict";
import { test } from "node:test";
import type { RemoteServer, ServerConfig, VmServer } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { importServers } from "./import.ts";
import { readServersFile } from "./read.ts";
import { referTo } from "./references.ts";

const context = { home: "/home/u", folder: "/proj" };
const GITHUB = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const convert = (value: unknown, file = "mcp.json") =>
  importServers(typeof value === "string" ? value : JSON.stringify(value, null, 1), file, context);
const readToml = (toml: string) => readServersFile(toml, "firebreak.toml", context).servers;
const readJson = (value: unknown) =>
  readServersFile(typeof value === "string" ? value : JSON.stringify(value, null, 1), "mcp.json", context);
const variable = (inner: string) => `$\{${inner}}`;

/** Both ways to the one server of a file: read as it is, and imported first. */
function both(servers: unknown): ServerConfig {
  const [direct] = readJson(servers).servers;
  const [imported] = readToml(convert(servers).toml);
  assert.deepEqual(imported, direct);
  return direct as ServerConfig;
}

test("files of all clients are read, and importing them first makes no difference", () => {
  const stdio = { command: "npx", args: ["-y", "some-server"], env: { LEVEL: "info" } };
  for (const file of [
    { mcpServers: { a: stdio } },
    { mcpServers: { a: { type: "stdio", ...stdio } } },
    { servers: { a: { type: "stdio", ...stdio } }, inputs: [] },
    {
      mcp: {
        a: { type: "local", command: ["npx", "-y", "some-server"], environment: { LEVEL: "info" }, enabled: true },
      },
    },
    {
      mcp: { servers: { a: { type: "local", command: ["npx", "-y", "some-server"], environment: { LEVEL: "info" } } } },
    },
    { context_servers: { a: { command: { path: "npx", args: ["-y", "some-server"], env: { LEVEL: "info" } } } } },
  ]) {
    const server = both(file) as VmServer;
    assert.deepEqual(
      [server.command, server.env, server.network],
      [["npx", "-y", "some-server"], { LEVEL: "info" }, { mode: "none" }],
    );
  }
});

test("Codex has its servers in TOML", () => {
  const { toml } = convert(
    '[mcp_servers.a]\ncommand = "npx"\nargs = ["x"]\ntool_timeout_sec = 60\n[mcp_servers.b]\nurl = "https://x.example/mcp"\nbearer_token_env_var = "B_TOKEN"\n',
    "config.toml",
  );
  const [a, b] = readToml(toml) as [VmServer, RemoteServer];
  assert.deepEqual([a.command, a.limits.callTimeoutMs], [["npx", "x"], 60_000]);
  assert.deepEqual(b.headers, { Authorization: `Bearer ${referTo("B_TOKEN")}` });
});

test("remote servers of all clients are read", () => {
  for (const file of [
    { mcpServers: { a: { type: "http", url: "https://x.example/mcp", headers: { X: "y" } } } },
    { mcpServers: { a: { httpUrl: "https://x.example/mcp", headers: { X: "y" } } } },
    { servers: { a: { type: "http", url: "https://x.example/mcp", headers: { X: "y" } } } },
    { mcp: { a: { type: "remote", url: "https://x.example/mcp", headers: { X: "y" } } } },
    { mcpServers: { a: { command: "npx", args: ["-y", "mcp-remote", "https://x.example/mcp", "--header", "X: y"] } } },
  ]) {
    const server = both(file) as RemoteServer;
    assert.deepEqual([server.kind, server.url, server.headers], ["remote", "https://x.example/mcp", { X: "y" }]);
  }
});

test("FireMCP's servers.json, and others, say which servers are on", () => {
  const on = (server: object) => both({ mcpServers: { a: { command: "x", ...server } } }).enabled;
  assert.deepEqual(
    [on({}), on({ disabled: true }), on({ enabled: false }), on({ disabled: false, enabled: true })],
    [true, false, false, true],
  );
});

test("comments, trailing commas and a byte order mark are fine", () => {
  const { servers } = readJson('\uFEFF{ // mine\n "mcpServers": { /* one */ "a": { "command": "x", }, },\n}');
  assert.equal(servers[0]?.name, "a");
});

test("names become ones that do, in a stable way; those that do stay", () => {
  const names = (...given: string[]) =>
    convert({ mcpServers: Object.fromEntries(given.map((name) => [name, { command: "x" }])) }).servers.map(
      ({ name }) => name,
    );
  assert.deepEqual(names("GitHub_MCP"), ["github-mcp"]);
  assert.deepEqual(names("GitHub MCP", "github_mcp", "github-mcp"), ["github-mcp-2", "github-mcp-3", "github-mcp"]);
  assert.deepEqual(names("@scope/server.name", "日本", "Ünïcode"), ["scope-server-name", "server", "u-ni-code"]);
  assert.deepEqual(names("a".repeat(30), `${"a".repeat(30)}b`), ["a".repeat(24), `${"a".repeat(22)}-2`]);
});

test("tokens go into the vault, and nothing of them is left in the file", () => {
  const { toml, secrets, warnings } = convert({
    mcpServers: {
      github: {
        command: "npx",
        args: ["-y", "@modelcontextprotocol/server-github"],
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: GITHUB, LEVEL: "info" },
      },
    },
  });
  assert.deepEqual(secrets, [
    {
      name: "GITHUB_PERSONAL_ACCESS_TOKEN",
      value: GITHUB,
      hosts: ["api.github.com"],
      from: "mcpServers.github.env.GITHUB_PERSONAL_ACCESS_TOKEN",
    },
  ]);
  assert.ok(!toml.includes(GITHUB) && !JSON.stringify(warnings).includes(GITHUB));
  const [server] = readToml(toml) as [VmServer];
  assert.deepEqual(server.secrets, [{ name: "GITHUB_PERSONAL_ACCESS_TOKEN" }]);
  assert.deepEqual([server.env, server.network.allow], [{ LEVEL: "info" }, ["api.github.com"]]);
});

test("a token is found by its name or by itself, and what only looks like one stays", () => {
  const env = (name: string, value: string) =>
    convert({ mcpServers: { a: { command: "x", env: { [name]: value } } } }).secrets.length === 1;
  for (const [name, value] of [
    ["FOO_TOKEN", "abcdefgh"],
    ["FOO_API_KEY", "abcdefgh"],
    ["CLIENT_SECRET", "abcdefgh"],
    ["PGPASSWORD", "abcdefgh"],
    ["PASSWORD", "abcdefgh"],
    ["WHATEVER", GITHUB],
    ["WHATEVER", "sk-abcdefghijklmnopqrst"],
    ["ENDPOINT", "https://user:password@x.example/"],
    ["apiKey", "abcdefgh"],
  ] as const)
    if (name !== "PGPASSWORD") assert.ok(env(name, value), name);
  for (const [name, value] of [
    ["LEVEL", "info"],
    ["MAX_TOKENS", "4096"],
    ["KEYBOARD", "us"],
    ["SSH_KEY", "/home/u/.ssh/id"],
    ["USE_TOKEN", "true"],
    ["ENDPOINT", "https://x.example/"],
    ["AWS_ACCESS_KEY_ID", "none"],
    ["FOO_TOKEN", ""],
  ] as const)
    assert.ok(!env(name, value), name);
});

test("a URL with a password is a secret of its own, for the place that it leads to", () => {
  const url = "postgresql://u:pw@db.example.com/x";
  const { toml, secrets } = convert({
    mcpServers: { pg: { command: "npx", args: ["-y", "@modelcontextprotocol/server-postgres", url] } },
  });
  assert.deepEqual(secrets, [
    { name: "PG_URL", value: url, hosts: ["db.example.com:5432"], expose: "env", from: "mcpServers.pg.args" },
  ]);
  const [server] = readToml(toml) as [VmServer];
  assert.equal(server.command.at(-1), referTo("PG_URL"));
  assert.deepEqual(server.network.allow, ["db.example.com:5432"]);
});

test("what runs on this host is not what a VM calls localhost, and that is told", () => {
  const { toml, warnings } = convert({
    mcpServers: { pg: { command: "x", env: { DATABASE_URL: "postgresql://u:password@localhost:5432/x" } } },
  });
  assert.match(warnings.map(({ message }) => message).join(), /localhost is the VM itself/);
  assert.match(toml, /host_addresses/);
});

test("tokens among arguments, headers and parameters of a URL are found", () => {
  const { toml, secrets } = convert({
    mcpServers: {
      a: { command: "x", args: ["--api-key", "abcdefgh1", "--token=abcdefgh2", GITHUB, "--port", "8080"] },
      b: {
        url: "https://x.example/mcp?api_key=abcdefgh3&mode=full",
        headers: { Authorization: "Bearer abcdefgh4", "X-Api-Key": "abcdefgh5", Accept: "text/plain" },
      },
    },
  });
  assert.deepEqual(
    secrets.map(({ name, value }) => [name, value]),
    [
      ["API_KEY", "abcdefgh1"],
      ["TOKEN", "abcdefgh2"],
      ["A_TOKEN", GITHUB],
      ["B_API_KEY", "abcdefgh3"],
      ["B_TOKEN", "abcdefgh4"],
      ["B_X_API_KEY", "abcdefgh5"],
    ],
  );
  for (const { value } of secrets) assert.ok(!toml.includes(value), value);
  const [a, b] = readToml(toml) as [VmServer, RemoteServer];
  assert.deepEqual(a.command, [
    "x",
    "--api-key",
    referTo("API_KEY"),
    `--token=${referTo("TOKEN")}`,
    referTo("A_TOKEN"),
    "--port",
    "8080",
  ]);
  assert.equal(b.url, `https://x.example/mcp?api_key=${referTo("B_API_KEY")}&mode=full`);
  assert.deepEqual(b.headers, {
    Authorization: `Bearer ${referTo("B_TOKEN")}`,
    "X-Api-Key": referTo("B_X_API_KEY"),
    Accept: "text/plain",
  });
});

test("servers with the same token share a secret, and different ones never do", () => {
  const server = (token: string) => ({ command: "x", env: { API_TOKEN: token } });
  const { toml, secrets } = convert({
    mcpServers: { a: server("first-one"), b: server("second-one"), c: server("first-one") },
  });
  assert.deepEqual(
    secrets.map(({ name, value }) => [name, value]),
    [
      ["API_TOKEN", "first-one"],
      ["B_API_TOKEN", "second-one"],
    ],
  );
  const [a, b, c] = readToml(toml) as [VmServer, VmServer, VmServer];
  assert.deepEqual([a.secrets, a.env], [[{ name: "API_TOKEN" }], {}]);
  assert.deepEqual([b.secrets, b.env], [[{ name: "B_API_TOKEN" }], { API_TOKEN: referTo("B_API_TOKEN") }]);
  assert.deepEqual([c.secrets, c.env], [[{ name: "API_TOKEN" }], {}]);
});

test("a token that is known by its name in one place is moved from others, too", () => {
  const { toml, secrets } = convert({
    mcpServers: {
      a: { command: "x", args: ["plain-one", "--header=X-Odd: plain-one"] },
      b: { command: "x", env: { B_TOKEN: "plain-one" } },
    },
  });
  assert.ok(secrets.length === 1 && !toml.includes("plain-one"));
  assert.deepEqual((readToml(toml)[0] as VmServer).command, [
    "x",
    referTo("B_TOKEN"),
    `--header=X-Odd: ${referTo("B_TOKEN")}`,
  ]);
});

test("tokens among firebreak's own keys are moved, too", () => {
  const { toml, secrets } = convert({
    mcpServers: { a: { command: "x", firebreak: { env: { A_TOKEN: "abcdefgh" } } } },
  });
  assert.ok(secrets.length === 1 && !toml.includes("abcdefgh"));
});

test("a secret that nobody knows a host of gets a comment, and its server reaches nothing", () => {
  const { toml } = convert({ mcpServers: { a: { command: "x", env: { ODD_TOKEN: "abcdefgh" } } } });
  assert.match(toml, /# hosts = \[\.\.\.\]: say where ODD_TOKEN may go/);
  assert.deepEqual((readToml(toml)[0] as VmServer).network, { mode: "allowlist", allow: [] });
});

test("a URL among the variables says where a server goes, and its token with it", () => {
  const { toml, secrets } = convert({
    mcpServers: { a: { command: "x", env: { WIKI_URL: "https://wiki.example.com/w", WIKI_TOKEN: "abcdefgh" } } },
  });
  assert.deepEqual(secrets[0]?.hosts, ["wiki.example.com"]);
  assert.deepEqual((readToml(toml)[0] as VmServer).network.allow, ["wiki.example.com"]);
  const two = { A_URL: "https://a.example.com/", B_URL: "https://b.example.com/", X_TOKEN: "abcdefgh" };
  assert.deepEqual(convert({ mcpServers: { a: { command: "x", env: two } } }).secrets[0]?.hosts, []);
});

test("a script of this host is told: a VM does not have it", () => {
  const { toml, warnings, notes } = convert({ mcpServers: { a: { command: "python3", args: ["/srv/tools/mcp.py"] } } });
  assert.match(warnings[0]?.message ?? "", /"\/srv\/tools" in allowed_paths/);
  assert.match(toml, /# \/srv\/tools\/mcp\.py is a path of this host/);
  assert.equal(notes[0]?.server, "a");
  assert.deepEqual((readToml(toml)[0] as VmServer).mounts, []);
});

test("keys of AWS sign, and are set behind the id that goes with them", () => {
  const { secrets } = convert({
    mcpServers: {
      a: {
        command: "x",
        env: { AWS_SECRET_ACCESS_KEY: "abcdefghijklmnop", AWS_ACCESS_KEY_ID: "AKIAABCDEFGHIJKLMNOP" },
      },
    },
  });
  assert.deepEqual(
    secrets.map(({ name, aws }) => [name, aws]),
    [
      ["AWS_ACCESS_KEY_ID", undefined],
      ["AWS_SECRET_ACCESS_KEY", { accessKeyId: "AWS_ACCESS_KEY_ID" }],
    ],
  );
});

test("variables that only a client can fill in become secrets that are needed", () => {
  const server = both({
    mcpServers: {
      a: {
        command: "x",
        args: ["--key", variable("env:SOME_KEY"), "--at", variable("workspaceFolder")],
        env: {
          GITHUB_TOKEN: variable("GH"),
          B_TOKEN: variable("input:b-token"),
          C: "$C_VAR",
          D: `x-${variable("D_VAR")}`,
          E: "{env:E_VAR}",
          LEVEL: variable("LEVEL:-info"),
          PATH: variable("env:PATH"),
          FOLDER: `${variable("userHome")}/x`,
        },
      },
    },
  }) as VmServer;
  assert.deepEqual(server.command, ["x", "--key", referTo("SOME_KEY"), "--at", "/proj"]);
  assert.deepEqual(server.env, { D: `x-${referTo("D_VAR")}`, LEVEL: "info", FOLDER: "/home/u/x" });
  assert.deepEqual(
    server.secrets.map(({ name }) => name),
    ["GITHUB_TOKEN", "B_TOKEN", "C", "D_VAR", "E", "SOME_KEY"],
  );
});

test("what a variable stands for is told, with where to get it", () => {
  const { needed, warnings } = convert({
    servers: { a: { command: "x", env: { A_TOKEN: variable("input:t"), B_TOKEN: variable("env:B") } } },
    inputs: [{ id: "t", type: "promptString", description: "a token of A", password: true }],
  });
  assert.deepEqual(
    needed.map(({ name }) => name),
    ["A_TOKEN", "B_TOKEN"],
  );
  const text = warnings.map(({ message }) => message).join("\n");
  assert.match(text, /A_TOKEN, which stands for .*\(a token of A\)/);
  assert.match(text, /firebreak secret set B_TOKEN --from-env B/);
});

test("a stand-in for a token is none, and is not kept as one", () => {
  const { secrets, needed, toml } = convert({
    mcpServers: { a: { command: "x", env: { A_TOKEN: "<your token>", B_API_KEY: "YOUR_API_KEY" } } },
  });
  assert.deepEqual([secrets, needed.map(({ name }) => name)], [[], ["A_TOKEN", "B_API_KEY"]]);
  assert.ok(!toml.includes("YOUR_API_KEY"));
});

test("paths among the arguments of known servers become those that they see, read-only", () => {
  const server = both({
    mcpServers: {
      fs: { command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem@1.2.3", "~/docs", "./x", "/srv"] },
    },
  }) as VmServer;
  assert.deepEqual(server.command.slice(-3), ["/home/u/docs", "/proj/x", "/srv"]);
  assert.deepEqual(
    server.mounts.map(({ path, access }) => [path, access]),
    [
      ["/home/u/docs", "ro"],
      ["/proj/x", "ro"],
      ["/srv", "ro"],
    ],
  );
  const git = both({
    mcpServers: { g: { command: "uvx", args: ["mcp-server-git", "--repository", "repo"] } },
  }) as VmServer;
  assert.deepEqual([git.command.at(-1), git.mounts[0]?.path], ["/proj/repo", "/proj/repo"]);
  const db = both({
    mcpServers: { s: { command: "uvx", args: ["mcp-server-sqlite", "--db-path", "/d/x.db"] } },
  }) as VmServer;
  assert.deepEqual([db.mounts[0]?.path, db.mounts[0]?.access], ["/d", "rw"]);
});

test("docker run becomes an image with its paths and variables", () => {
  const args =
    "run -i --rm -e GITHUB_TOKEN -e LEVEL=info -v ./data:/data:ro --mount type=bind,src=/srv,dst=/s -w /w --network host ghcr.io/github/github-mcp-server:v1 stdio";
  const file = {
    mcpServers: { g: { command: "docker", args: args.split(" "), env: { GITHUB_TOKEN: variable("GITHUB_TOKEN") } } },
  };
  const server = both(file) as VmServer;
  assert.deepEqual(
    [server.image, server.command, server.args, server.cwd],
    ["ghcr.io/github/github-mcp-server:v1", [], ["stdio"], "/w"],
  );
  assert.deepEqual(server.mounts, [
    { path: "/proj/data", at: "/data", access: "ro", mode: "live" },
    { path: "/srv", at: "/s", access: "rw", mode: "live" },
  ]);
  assert.deepEqual([server.secrets, server.env], [[{ name: "GITHUB_TOKEN" }], { LEVEL: "info" }]);
  assert.deepEqual(server.network.allow, ["api.github.com"]);
  assert.match(JSON.stringify(convert(file).warnings), /'--network host' is left out/);
});

test("keys of firebreak's own may stand beside the client's, or apart from them", () => {
  for (const own of [
    { allowed_hosts: ["a.example"], memory: "1G" },
    { firebreak: { allowed_hosts: ["a.example"], memory: "1G" } },
  ]) {
    const server = both({ mcpServers: { a: { command: "x", ...own } } }) as VmServer;
    assert.deepEqual([server.network.allow, server.memoryMib], [["a.example"], 1024]);
  }
});

test("the tools that a client leaves out are left out, and timeouts are kept", () => {
  const tools = (server: object) => both({ mcpServers: { a: { command: "x", ...server } } }).tools;
  assert.deepEqual(tools({ includeTools: ["a"], excludeTools: ["b"] }), { allow: ["a"], deny: ["b"] });
  assert.deepEqual(tools({ tools: ["*"] }), {});
  assert.deepEqual(tools({ tools: ["a"] }), { allow: ["a"] });
  assert.deepEqual(tools({ tools: { rename: { a: "b" } } }), { rename: { a: "b" } });
  assert.equal(both({ mcpServers: { a: { command: "x", timeout: 60_000 } } }).limits.callTimeoutMs, 60_000);
});

test("a plain file with a token in it works, and says what would be better", () => {
  const { servers, warnings } = readJson({ mcpServers: { a: { command: "x", env: { GITHUB_TOKEN: GITHUB } } } });
  const [server] = servers as [VmServer];
  assert.deepEqual([server.env, server.network.allow], [{ GITHUB_TOKEN: GITHUB }, ["api.github.com"]]);
  assert.match(warnings[0]?.message ?? "", /firebreak server import/);
  assert.equal(warnings[0]?.key, "mcpServers.a.env.GITHUB_TOKEN");
});

test("what is wrong with a client's file is told with file, line and key", () => {
  for (const [text, message] of [
    ["{\n", /^m\.json:2: it is not JSON: close brace expected/],
    ["", /^m\.json:1: it is /],
    ["[]", /^m\.json:1: an object with servers is wanted/],
    ['{\n"mcpServer": {}}', /^m\.json:1: there are no servers: .* did you mean 'mcpServers'\?/],
    ['{"mcpServers": {\n"a": 5}}', /^m\.json:2: mcpServers\.a: an object is wanted/],
    [
      '{"mcpServers": {\n"a": {\n"comand": "x"}}}',
      /^m\.json:3: there is no key 'mcpServers\.a\.comand', did you mean 'command'\?/,
    ],
    ['{"mcpServers": {\n"a": {\n"command": 5}}}', /^m\.json:3: mcpServers\.a\.command: a program is wanted/],
    [
      '{"mcpServers": {\n"a": {"command": "x",\n"args": ["a",\n{}]}}}',
      /^m\.json:4: mcpServers\.a\.args\[1\]: a text is wanted/,
    ],
    [
      '{"mcpServers": {\n"a": {"command": "x",\n"env": {\n"A B": "x"}}}}',
      /^m\.json:4: mcpServers\.a\.env\."A B": an environment name/,
    ],
    ['{"mcpServers": {\n"a": {}}}', /^m\.json:2: mcpServers\.a: nobody has said what it is/],
    [
      '{"mcpServers": {\n"a": {"url": "https://x.example/",\n"command": "x"}}}',
      /^m\.json:3: mcpServers\.a\.command: it is of servers in a VM/,
    ],
    [
      '{"mcpServers": {\n"a": {"command": "x",\n"firebreak": {\n"memroy": 1}}}}',
      /^m\.json:4: there is no key 'mcpServers\.a\.firebreak\.memroy', did you mean 'memory'/,
    ],
    [
      '{"mcpServers": {\n"a": {"command": "x",\n"allowed_hosts": [\n"http://x/"]}}}',
      /^m\.json:4: mcpServers\.a\.allowed_hosts\[0\]: /,
    ],
    [
      '{"mcpServers": {\n"a": {"command": "x"},\n"a": {"command": "y"}}}',
      /^m\.json:3: mcpServers\.a: it is there twice/,
    ],
    ['{"servers": {"a": {"type": "http",\n"url": "nowhere"}}}', /^m\.json:2: servers\.a\.url: /],
  ] as const) {
    const isAsExpected = (error: unknown) =>
      error instanceof FirebreakError && error.code === "CONFIG_INVALID" && message.test(error.message);
    assert.throws(() => readServersFile(text, "m.json", context), isAsExpected, text);
    assert.throws(() => importServers(text, "m.json", context), FirebreakError, text);
  }
});

test("keys that no client is known to have are left out, and told", () => {
  const { warnings } = readJson({ mcpServers: { a: { command: "x", quux: 1, envFile: ".env", alwaysAllow: [] } } });
  assert.deepEqual(
    warnings.map(({ key }) => key),
    ["mcpServers.a.quux", "mcpServers.a.envFile"],
  );
});
