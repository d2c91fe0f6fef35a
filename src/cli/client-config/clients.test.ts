import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { CLIENT_IDS } from "../commands/gen-config.ts";
import type { ClientConfig, Place, ServerEntry } from "./client.ts";
import { CLIENTS, clientNamed } from "./index.ts";

const STDIO: ServerEntry = { transport: "stdio", command: "/opt/firebreak", args: ["serve", "mcp"], env: {} };
const WITH_ENV: ServerEntry = { ...STDIO, env: { FIREBREAK_HOME: "/srv/fb" } };
const HTTP: ServerEntry = { transport: "http", url: "http://127.0.0.1:9600/mcp", isSse: false, keyEnv: "FB_KEY" };
const NO_KEY: ServerEntry = { transport: "http", url: "http://127.0.0.1:9600/mcp", isSse: false };

/** Per client: what an entry of each kind is in its words, a file as a user has it, and what is put into it. */
interface Expected {
  stdio: unknown;
  withEnv: unknown;
  /** An error's text where the client cannot. */
  http: unknown;
  /** With comments and other servers. */
  mine: string;
  /** `mine` with the stdio entry. */
  merged: string;
}

const command = { command: "/opt/firebreak", args: ["serve", "mcp"] };
const env = { FIREBREAK_HOME: "/srv/fb" };
const url = "http://127.0.0.1:9600/mcp";

function mineUnder(key: string): string {
  return `// what I use
{
  "theme": "dark", // at night
  "${key}": {
    // issues
    "github": { "command": "gh-mcp", "args": ["-x"] }, /* pinned */
    "files": {
      "command": "npx" // latest
    } // last
    // and so on
  },
  "other": [1, 2,],
}
`;
}

function mergedUnder(key: string, entry: string[]): string {
  return mineUnder(key).replace(
    "    } // last\n",
    `    }, // last\n    "firebreak": {\n${entry.map((line) => `      ${line}\n`).join("")}    }\n`,
  );
}

const MINE_TOML = `# what I use
model = "gpt" # the large one

[mcp_servers.github] # issues
command = "gh-mcp"
args = ["-x", # pinned
  "-y"]

[mcp_servers.github.env]
A = "1"

# the screen
[tui]
theme = "dark"
`;

/** The stdio entry as most clients write it. */
const COMMAND_LINES = ['"command": "/opt/firebreak",', '"args": [', '  "serve",', '  "mcp"', "]"];

const EXPECTED: Record<string, Expected> = {
  "claude-code": {
    stdio: { type: "stdio", ...command },
    withEnv: { type: "stdio", ...command, env },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Claude Code puts the variable in
    http: { type: "http", url, headers: { Authorization: "Bearer ${FB_KEY}" } },
    mine: mineUnder("mcpServers"),
    merged: mergedUnder("mcpServers", ['"type": "stdio",', ...COMMAND_LINES]),
  },
  "claude-desktop": {
    stdio: command,
    withEnv: { ...command, env },
    http: /programs only/,
    mine: mineUnder("mcpServers"),
    merged: mergedUnder("mcpServers", COMMAND_LINES),
  },
  cursor: {
    stdio: command,
    withEnv: { ...command, env },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Cursor puts the variable in
    http: { url, headers: { Authorization: "Bearer ${env:FB_KEY}" } },
    mine: mineUnder("mcpServers"),
    merged: mergedUnder("mcpServers", COMMAND_LINES),
  },
  vscode: {
    stdio: { type: "stdio", ...command },
    withEnv: { type: "stdio", ...command, env },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: VS Code puts the input in
    http: { type: "http", url, headers: { Authorization: "Bearer ${input:firebreak-api-key}" } },
    mine: mineUnder("servers"),
    merged: mergedUnder("servers", ['"type": "stdio",', ...COMMAND_LINES]),
  },
  codex: {
    stdio: command,
    withEnv: { ...command, env },
    http: { url, bearer_token_env_var: "FB_KEY" },
    mine: MINE_TOML,
    merged: `${MINE_TOML}
[mcp_servers.firebreak]
command = "/opt/firebreak"
args = ["serve", "mcp"]
`,
  },
  gemini: {
    stdio: command,
    withEnv: { ...command, env },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Gemini CLI puts the variable in
    http: { httpUrl: url, headers: { Authorization: "Bearer ${FB_KEY}" } },
    mine: mineUnder("mcpServers"),
    merged: mergedUnder("mcpServers", COMMAND_LINES),
  },
  opencode: {
    stdio: { type: "local", command: ["/opt/firebreak", "serve", "mcp"], enabled: true },
    withEnv: { type: "local", command: ["/opt/firebreak", "serve", "mcp"], environment: env, enabled: true },
    http: { type: "remote", url, headers: { Authorization: "Bearer {env:FB_KEY}" }, enabled: true },
    mine: mineUnder("mcp"),
    merged: mergedUnder("mcp", [
      '"type": "local",',
      '"command": [',
      '  "/opt/firebreak",',
      '  "serve",',
      '  "mcp"',
      "],",
      '"enabled": true',
    ]),
  },
  zed: {
    stdio: command,
    withEnv: { ...command, env },
    http: /cannot read an API key/,
    mine: mineUnder("context_servers"),
    merged: mergedUnder("context_servers", COMMAND_LINES),
  },
  copilot: {
    stdio: { type: "local", ...command, tools: ["*"] },
    withEnv: { type: "local", ...command, env, tools: ["*"] },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Copilot CLI puts the variable in
    http: { type: "http", url, headers: { Authorization: "Bearer ${FB_KEY}" }, tools: ["*"] },
    mine: mineUnder("mcpServers"),
    merged: mergedUnder("mcpServers", [
      '"type": "local",',
      '"command": "/opt/firebreak",',
      '"args": [',
      '  "serve",',
      '  "mcp"',
      "],",
      '"tools": [',
      '  "*"',
      "]",
    ]),
  },
};
EXPECTED["mcp-json"] = EXPECTED["claude-code"] as Expected;

test("there are clients of the ids that the command names", () => {
  assert.deepEqual(
    CLIENTS.map(({ id }) => id),
    CLIENT_IDS,
  );
  assert.deepEqual(Object.keys(EXPECTED).sort(), [...CLIENT_IDS].sort());
});

for (const client of CLIENTS) {
  const expected = EXPECTED[client.id] as Expected;
  describe(client.name, () => {
    const merge = (text: string, server: ServerEntry) => client.merge(text, "firebreak", server);

    test("a file that is not there yet gets the entry, and is the same the second time", () => {
      for (const [server, entry] of [
        [STDIO, expected.stdio],
        [WITH_ENV, expected.withEnv],
        ...(expected.http instanceof RegExp ? [] : [[HTTP, expected.http] as const]),
      ] as const) {
        const text = merge("", server);
        assert.deepEqual(client.find(text, "firebreak"), entry);
        assert.equal(merge(text, server), text);
        assert.ok(text.endsWith("\n"));
      }
    });

    if (expected.http instanceof RegExp) {
      test("HTTP with a key is an error that tells the way out", () => {
        assert.throws(
          () => merge("", HTTP),
          (error: Error & { hint?: string }) => {
            assert.match(error.message, expected.http as RegExp);
            assert.match(error.hint ?? "", /mcp-bridge|stdio/);
            return hasCode("INVALID_ARGUMENT")(error);
          },
        );
      });
    }

    test("comments, order and other servers stay; taken out again, all is as before", () => {
      const merged = merge(expected.mine, STDIO);
      assert.equal(merged, expected.merged);
      assert.equal(merge(merged, STDIO), merged);
      assert.equal(client.remove(merged, "firebreak"), expected.mine);
      assert.equal(client.remove(expected.mine, "firebreak"), expected.mine);
    });

    test("the same with the line breaks of Windows, and a byte order mark", () => {
      const mine = `\uFEFF${expected.mine.replaceAll("\n", "\r\n")}`;
      const merged = merge(mine, STDIO);
      assert.equal(merged, `\uFEFF${expected.merged.replaceAll("\n", "\r\n")}`);
      assert.equal(client.remove(merged, "firebreak"), mine);
    });

    test("a server of another name is taken out alone", () => {
      const removed = client.remove(merge(expected.mine, STDIO), "github");
      assert.equal(client.find(removed, "github"), undefined);
      assert.deepEqual(client.find(removed, "firebreak"), expected.stdio);
    });

    test("what a file cannot be changed for is told with line and column", () => {
      const [broken, line, column] =
        client.id === "codex" ? ["a = 1\nb = [1,\n", 3, 1] : ['{\n  "a": 1,\n  "b": }\n', 3, 8];
      for (const change of [() => merge(broken, STDIO), () => client.remove(broken, "firebreak")]) {
        assert.throws(change, (error: Error & { details?: unknown }) => {
          assert.ok(hasCode("CLIENT_CONFIG_INVALID")(error));
          assert.deepEqual(error.details, { line, column }, error.message);
          return true;
        });
      }
    });

    if (client.id !== "claude-desktop") {
      test("from stdio to HTTP and back, the user's own settings stay", () => {
        const text = merge(expected.mine, WITH_ENV);
        const custom = client.id === "codex" ? addToTable(text) : text.replace(/("firebreak": \{)/, '$1 "timeout": 7,');
        assert.notEqual(custom, text);
        const http = merge(custom, NO_KEY);
        const found = client.find(http, "firebreak") as Record<string, unknown>;
        assert.equal(found.timeout, 7);
        for (const key of ["command", "args", "env", "environment"]) assert.ok(!(key in found), key);
        const again = client.find(merge(http, STDIO), "firebreak") as Record<string, unknown>;
        const { timeout, ...rest } = again;
        assert.equal(timeout, 7);
        assert.deepEqual(rest, expected.stdio);
      });
    }
  });
}

function addToTable(text: string): string {
  return text.replace("[mcp_servers.firebreak]\n", "[mcp_servers.firebreak]\ntimeout = 7 # mine\n");
}

describe("what is the user's in our entry", () => {
  test("variables of the user stay, ours are brought up to date", () => {
    const { merge, find } = clientNamed("claude-code");
    const mine =
      '{"mcpServers":{"firebreak":{"command":"old","args":[],"env":{"MINE":"1","FIREBREAK_HOME":"/old","FIREBREAK_URL":"http://x"}}}}';
    assert.deepEqual(find(merge(mine, "firebreak", WITH_ENV), "firebreak"), {
      type: "stdio",
      ...command,
      env: { MINE: "1", FIREBREAK_HOME: "/srv/fb" },
    });
  });

  test("the same in Codex's tables, whose comments stay", () => {
    const { merge } = clientNamed("codex");
    const mine = `[mcp_servers.firebreak] # mine
command = "old" # where it is
startup_timeout_sec = 30 # slow host

[mcp_servers.firebreak.env]
MINE = "1" # set by me
FIREBREAK_URL = "http://x"

# the screen
[tui]
`;
    const merged = `[mcp_servers.firebreak] # mine
command = "/opt/firebreak" # where it is
startup_timeout_sec = 30 # slow host
args = ["serve", "mcp"]

[mcp_servers.firebreak.env]
MINE = "1" # set by me
FIREBREAK_HOME = "/srv/fb"

# the screen
[tui]
`;
    assert.equal(merge(mine, "firebreak", WITH_ENV), merged);
  });

  test("a choice of tools, and that it is off, stay", () => {
    const mine = '{"mcpServers":{"firebreak":{"type":"local","command":"x","args":[],"tools":["ping"]}}}';
    const copilot = clientNamed("copilot");
    assert.deepEqual((copilot.find(copilot.merge(mine, "firebreak", STDIO), "firebreak") as { tools: unknown }).tools, [
      "ping",
    ]);
    const off = '{"mcp":{"firebreak":{"type":"local","command":["x"],"enabled":false}}}';
    const opencode = clientNamed("opencode");
    assert.equal(
      (opencode.find(opencode.merge(off, "firebreak", STDIO), "firebreak") as { enabled: unknown }).enabled,
      false,
    );
  });
});

describe("forms of one client", () => {
  test("VS Code's input is there once, as long as an entry needs it", () => {
    const { merge, remove } = clientNamed("vscode");
    const mine = '{\n  "inputs": [\n    { "id": "theirs", "type": "promptString" }\n  ],\n  "servers": {}\n}\n';
    const one = merge(mine, "firebreak", HTTP);
    const two = merge(one, "github", { ...HTTP, url: `${url}/github` });
    assert.equal(two.match(/"id": "firebreak-api-key"/g)?.length, 1);
    assert.match(remove(two, "firebreak"), /firebreak-api-key/);
    assert.equal(remove(remove(two, "firebreak"), "github"), mine);
    assert.doesNotMatch(merge(one, "firebreak", STDIO), /firebreak-api-key/);
  });

  test("opencode's second version has its servers one level below, and no 'enabled'", () => {
    const { merge, find, remove } = clientNamed("opencode");
    const mine = '{\n  "mcp": {\n    "servers": {\n      "a": { "type": "local", "command": ["a"] }\n    }\n  }\n}\n';
    const merged = merge(mine, "firebreak", STDIO);
    assert.deepEqual(JSON.parse(merged).mcp.servers.firebreak, {
      type: "local",
      command: ["/opt/firebreak", "serve", "mcp"],
    });
    assert.ok(find(merged, "firebreak"));
    assert.equal(remove(merged, "firebreak"), mine);
    const named = '{"mcp":{"servers":{"type":"local","command":["a"]}}}';
    assert.ok(JSON.parse(merge(named, "firebreak", STDIO)).mcp.firebreak);
  });

  test("Gemini's own 'mcp add' writes url and type, which give way to httpUrl", () => {
    const { merge, find } = clientNamed("gemini");
    const mine = '{"mcpServers":{"firebreak":{"url":"http://old/mcp","type":"http","trust":true}}}';
    assert.deepEqual(find(merge(mine, "firebreak", NO_KEY), "firebreak"), { httpUrl: url, trust: true });
  });

  test("old clients' event streams have a type of their own, and Codex has none", () => {
    const sse: ServerEntry = { ...NO_KEY, url: "http://h/servers/a/sse", isSse: true };
    const find = (id: string) => clientNamed(id).find(clientNamed(id).merge("", "a", sse), "a");
    assert.deepEqual(find("mcp-json"), { type: "sse", url: sse.url });
    assert.deepEqual(find("gemini"), { url: sse.url });
    assert.throws(() => find("codex"), hasCode("INVALID_ARGUMENT"));
  });

  test("a program that needs a key of a daemon elsewhere gets it by the variable's name", () => {
    const remote: ServerEntry = { ...STDIO, env: { FIREBREAK_URL: "https://vms" }, keyEnv: "FIREBREAK_API_KEY" };
    const entry = (id: string) => clientNamed(id).find(clientNamed(id).merge("", "a", remote), "a");
    assert.deepEqual((entry("cursor") as { env: unknown }).env, {
      FIREBREAK_URL: "https://vms",
      FIREBREAK_API_KEY: `\${env:FIREBREAK_API_KEY}`,
    });
    assert.deepEqual((entry("codex") as { env_vars: unknown }).env_vars, ["FIREBREAK_API_KEY"]);
    for (const id of ["zed", "claude-desktop"]) assert.throws(() => entry(id), hasCode("INVALID_ARGUMENT"));
  });

  test("Codex's servers in other forms than tables are refused, with the line, and so is what would not be TOML any more", () => {
    const codex = clientNamed("codex");
    for (const [mine, line] of [
      ['a = 1\nmcp_servers = { x = { command = "c" } }\n', 2],
      ['mcp_servers.firebreak.command = "c"\n', 1],
      ['[mcp_servers]\n\nfirebreak = { command = "c" }\n', 3],
    ] as const) {
      assert.throws(
        () => codex.merge(mine, "firebreak", STDIO),
        (error: Error & { details?: { line?: number } }) => {
          assert.equal(error.details?.line, line, error.message);
          return hasCode("CLIENT_CONFIG_INVALID")(error);
        },
      );
    }
    // Others may have theirs as they like, as long as there is room for a table.
    const dotted = 'mcp_servers.x.command = "c"\n[tui]\n';
    assert.equal(codex.remove(codex.merge(dotted, "firebreak", STDIO), "firebreak"), dotted);
  });
});

describe("where the files are", () => {
  const place = (over: Partial<Place> = {}): Place => ({
    env: {},
    home: "/home/me",
    cwd: "/projects/it",
    platform: "linux",
    isThere: () => false,
    ...over,
  });
  const files = (client: ClientConfig, at: Place) => client.scopes.map((scope) => client.file(scope, at));

  test("on Linux", () => {
    assert.deepEqual(Object.fromEntries(CLIENTS.map((client) => [client.id, files(client, place())])), {
      "claude-code": ["/home/me/.claude.json", "/projects/it/.mcp.json"],
      "claude-desktop": ["/home/me/.config/Claude/claude_desktop_config.json"],
      cursor: ["/home/me/.cursor/mcp.json", "/projects/it/.cursor/mcp.json"],
      vscode: ["/home/me/.config/Code/User/mcp.json", "/projects/it/.vscode/mcp.json"],
      codex: ["/home/me/.codex/config.toml", "/projects/it/.codex/config.toml"],
      gemini: ["/home/me/.gemini/settings.json", "/projects/it/.gemini/settings.json"],
      opencode: ["/home/me/.config/opencode/opencode.json", "/projects/it/opencode.json"],
      zed: ["/home/me/.config/zed/settings.json", "/projects/it/.zed/settings.json"],
      copilot: ["/home/me/.copilot/mcp-config.json", "/projects/it/.github/mcp.json"],
      "mcp-json": ["/projects/it/mcp.json"],
    });
  });

  test("where the environment says, and by the system's customs", () => {
    const file = (id: string, over: Partial<Place>) => clientNamed(id).file("user", place(over));
    assert.equal(file("claude-code", { env: { CLAUDE_CONFIG_DIR: "/c" } }), "/c/.claude.json");
    assert.equal(file("codex", { env: { CODEX_HOME: "/c" } }), "/c/config.toml");
    assert.equal(file("gemini", { env: { GEMINI_CLI_HOME: "/g" } }), "/g/.gemini/settings.json");
    assert.equal(file("copilot", { env: { COPILOT_HOME: "/c" } }), "/c/mcp-config.json");
    assert.equal(
      file("opencode", { isThere: (name) => name.endsWith(".jsonc") }),
      "/home/me/.config/opencode/opencode.jsonc",
    );
    assert.equal(
      file("claude-desktop", { platform: "darwin" }),
      "/home/me/Library/Application Support/Claude/claude_desktop_config.json",
    );
    assert.equal(
      file("zed", { platform: "darwin", env: { XDG_CONFIG_HOME: "/x" } }),
      "/home/me/.config/zed/settings.json",
    );
    assert.match(file("claude-desktop", { platform: "win32", env: { APPDATA: "/r" } }), /^\/r.Claude/);
  });
});
