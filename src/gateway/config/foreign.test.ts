import assert from "node:assert/strict";
import { test } from "node:test";
import type { RemoteServer, VmServer } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { importServers } from "./import.ts";
import { readServersFile } from "./read.ts";
import { referTo } from "./references.ts";

const context = { home: "/home/u", folder: "/proj" };
const convert = (value: unknown) => importServers(JSON.stringify(value, null, 1), "export.json", context);
const servers = (value: unknown) => {
  const imported = readServersFile(convert(value).toml, "firebreak.toml", context).servers;
  assert.deepEqual(readServersFile(JSON.stringify(value), "export.json", context).servers, imported);
  return imported;
};
const messages = (value: unknown) => convert(value).warnings.map(({ key, message }) => `${key}: ${message}`);

/** As `thv export` writes it. */
const RUN_CONFIG = {
  schema_version: "v0.1.0",
  image: "ghcr.io/example/server:1",
  cmd_args: ["stdio"],
  name: "Example",
  transport: "stdio",
  host: "127.0.0.1",
  port: 18402,
  permission_profile: null,
  isolate_network: true,
};
const withProfile = (permission_profile: object) => servers({ ...RUN_CONFIG, permission_profile })[0] as VmServer;

test("ToolHive: an exported run configuration is a server of an image", () => {
  const [server] = servers({
    ...RUN_CONFIG,
    env_vars: { MCP_TRANSPORT: "stdio", LEVEL: "info" },
    secrets: ["example,target=EXAMPLE_TOKEN"],
    volumes: ["/srv/data:/data:ro"],
    permission_profile: {
      read: ["/srv/notes", "/srv/data:/data"],
      write: ["/srv/out:/out"],
      network: { outbound: { allow_host: [".example.com", "other.example"], allow_port: [443, 8443] } },
    },
    tools_filter: ["read"],
    tools_override: { read: { name: "look" } },
  }) as VmServer[];
  assert.ok(server);
  assert.deepEqual([server.name, server.image, server.env], ["example", "ghcr.io/example/server:1", { LEVEL: "info" }]);
  assert.deepEqual(
    server.mounts.map(({ path, at, access }) => [path, at, access]),
    [
      ["/srv/notes", "/srv/notes", "ro"],
      ["/srv/data", "/data", "ro"],
      ["/srv/out", "/out", "rw"],
    ],
  );
  assert.deepEqual(
    server.secrets.map(({ name }) => name),
    ["EXAMPLE_TOKEN"],
  );
  assert.deepEqual(
    server.network.allow?.map((rule) => (typeof rule === "string" ? rule : `${rule.host}:${rule.ports}`)),
    ["example.com:443,8443", "*.example.com:443,8443", "other.example:443,8443"],
  );
  assert.deepEqual([server.tools.allow, server.tools.rename], [["read"], { read: "look" }]);
});

test("ToolHive: everything outbound is the public network, and nothing said is none", () => {
  assert.equal(withProfile({ network: { outbound: { insecure_allow_all: true } } }).network.mode, "public");
  assert.equal(withProfile({ network: { outbound: { allow_host: [] } } }).network.mode, "none");
});

test("ToolHive: a remote server keeps its URL, and its headers are of the vault", () => {
  const [server] = servers({
    schema_version: "v0.1.0",
    name: "issues",
    image: "",
    remote_url: "https://mcp.example.com/mcp",
    header_forward: { add_plaintext_headers: { X: "y" }, add_headers_from_secret: { "X-Key": "issues-key" } },
  }) as RemoteServer[];
  assert.deepEqual(
    [server?.url, server?.headers],
    ["https://mcp.example.com/mcp", { X: "y", "X-Key": referTo("ISSUES_KEY") }],
  );
});

test("ToolHive: what does not come along is told with the key of its file", () => {
  const told = messages({
    ...RUN_CONFIG,
    transport: "sse",
    image: "toolhivelocal/uvx-example:20260101000000",
    tools_override: { read: { description: "x" } },
    permission_profile: { privileged: true, network: { outbound: { allow_host: ["localhost"] } } },
  });
  for (const key of [
    "transport: it speaks sse",
    "image: ToolHive built this image",
    "tools_override.read.description: ",
    "permission_profile.privileged: ",
    "permission_profile.network.outbound.allow_host: localhost",
  ])
    assert.ok(
      told.some((line) => line.startsWith(key)),
      `${key} in ${told.join("\n")}`,
    );
});

test("ToolHive: what is wrong is told with its line and the key of its file", () => {
  const wrong = { ...RUN_CONFIG, permission_profile: { network: { outbound: { allow_host: ["no host"] } } } };
  const text = JSON.stringify(wrong, null, 1);
  const line = text.split("\n").findIndex((each) => each.includes("allow_host")) + 1;
  assert.throws(
    () => readServersFile(text, "export.json", context),
    (error) =>
      error instanceof FirebreakError &&
      error.message.startsWith(`export.json:${line}: permission_profile.network.outbound.allow_host: "no host"`),
  );
});

test("ToolHive: a token among its variables goes into the vault, and is told where it stands", () => {
  const config = { ...RUN_CONFIG, env_vars: { EXAMPLE_TOKEN: `ghp_${"0123456789".repeat(4)}` } };
  const { secrets } = convert(config);
  assert.deepEqual(
    secrets.map(({ name, from }) => [name, from]),
    [["EXAMPLE_TOKEN", "env_vars.EXAMPLE_TOKEN"]],
  );
  const { warnings } = readServersFile(JSON.stringify(config, null, 1), "export.json", context);
  assert.ok(warnings.some(({ key, message }) => key === "env_vars.EXAMPLE_TOKEN" && message.startsWith("a token")));
});

const profileOf = (server: object, beside: object = {}) => ({
  version: 1,
  id: "dev",
  name: "dev",
  servers: [
    {
      type: "image",
      image: "mcp/example@sha256:1234",
      snapshot: { server: { name: "example", type: "server", image: "mcp/example", title: "Example", ...server } },
      ...beside,
    },
  ],
});

test("Docker: a profile's servers are those of its snapshots, filled in with its config", () => {
  const [server] = servers(
    profileOf(
      {
        command: ["--url={{example.api.url}}", "{{example.paths|volume-target|into}}"],
        volumes: ["{{example.paths|volume|into}}", "{{example.out}}:/out:rw"],
        env: [{ name: "LEVEL", value: "{{example.level}}" }],
        secrets: [{ name: "example.token", env: "EXAMPLE_TOKEN" }],
        allowHosts: ["api.example.com:443"],
      },
      { config: { api: { url: "x" }, paths: ["/srv/a", "/srv/b"], out: "/srv/out", level: 3 }, tools: ["read"] },
    ),
  ) as VmServer[];
  assert.ok(server);
  assert.deepEqual([server.name, server.image], ["example", "mcp/example@sha256:1234"]);
  assert.deepEqual([server.args, server.env], [["--url=x", "/srv/a", "/srv/b"], { LEVEL: "3" }]);
  assert.deepEqual(
    server.mounts.map(({ path, at, access }) => [path, at, access]),
    [
      ["/srv/a", "/srv/a", "ro"],
      ["/srv/b", "/srv/b", "ro"],
      ["/srv/out", "/out", "rw"],
    ],
  );
  assert.deepEqual(
    server.secrets.map(({ name }) => name),
    ["EXAMPLE_TOKEN"],
  );
  assert.deepEqual([server.network.mode, server.tools.allow], ["allowlist", ["read"]]);
});

test("Docker: what the config has no value for is left out and told", () => {
  const profile = profileOf({ command: ["--a", "{{example.none}}"], env: [{ name: "A", value: "{{other.key}}" }] });
  const [server] = servers(profile) as VmServer[];
  assert.deepEqual([server?.args, server?.env], [["--a"], {}]);
  const told = messages(profile);
  assert.ok(told.some((line) => line.startsWith("servers[0].snapshot.server.command: '{{example.none}}' is left out")));
  assert.ok(told.some((line) => line.startsWith("servers[0].snapshot.server.env: '{{other.key}}' is left out")));
});

test("Docker: values that are tables are none that a template takes", () => {
  const profile = profileOf(
    { command: ["--a", "{{example.list|volume-target|into}}", "{{example.table}}"] },
    { config: { list: [{}], table: { toString: "x" } } },
  );
  const [server] = servers(profile) as VmServer[];
  assert.deepEqual(server?.args, ["--a"]);
});

test("Docker: a remote server keeps URL, transport and headers", () => {
  const [server] = servers(
    profileOf({
      type: "remote",
      secrets: [{ name: "example.token", env: "EXAMPLE_TOKEN" }],
      remote: {
        url: "https://mcp.example.com/sse",
        transport_type: "sse",
        headers: { Authorization: `Bearer $\{EXAMPLE_TOKEN}` },
      },
    }),
  ) as RemoteServer[];
  assert.deepEqual(server?.headers, { Authorization: `Bearer ${referTo("EXAMPLE_TOKEN")}` });
  assert.deepEqual([server?.url, server?.transport], ["https://mcp.example.com/sse", "sse"]);
});

test("Docker: containers for each call, and servers without a snapshot, are refused with their line", () => {
  const refused = (value: unknown, message: RegExp) =>
    assert.throws(
      () => servers(value),
      (error) => error instanceof FirebreakError && error.code === "CONFIG_INVALID" && message.test(error.message),
    );
  refused(profileOf({ type: "poci" }), /^export\.json:\d+: servers\[0\]: example is a container for each call/);
  refused(profileOf({}, { snapshot: null }), /servers\[0\]: it has no snapshot/);
});

test("an image is no option of a container's, and a path to read from is not written to", () => {
  const options = { image: "-v", cmd_args: ["/:/host:rw", "x/y"] };
  assert.throws(
    () => servers({ ...RUN_CONFIG, ...options }),
    /export\.json:\d+: image: it is not the name of an image/,
  );
  assert.throws(() => servers(profileOf({}, { image: "--mount=x" })), /servers\[0\]\.image: it is not the name/);
  assert.equal(withProfile({ read: ["/srv/a:/a:rw"] }).mounts[0]?.access, "ro");
});

test("an image without a command is run with the arguments behind it", () => {
  const [server] = servers({ mcpServers: { a: { image: "x/y", args: ["--flag"] } } }) as VmServer[];
  assert.deepEqual([server?.image, server?.args], ["x/y", ["--flag"]]);
});
