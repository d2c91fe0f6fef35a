import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import os from "node:os";
import path from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { CLIENT_IDS } from "../../src/cli/commands/gen-config.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { resolvePaths } from "../../src/platform/paths.ts";

/** The command as users run it, in a home of its own. */

const root = mkdtempSync(path.join(os.tmpdir(), "fb-gc-"));
after(() => rmSync(root, { recursive: true, force: true }));
const program = path.join(PACKAGE_ROOT, "bin", "firebreak");

/** Compiled code is kept there; to compile it for each home takes a second. */
const XDG_CACHE_HOME = process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");

let home: string;
let cwd: string;
let count = 0;
beforeEach(() => {
  home = path.join(root, `h${count++}`);
  cwd = path.join(home, "project");
  mkdirSync(cwd, { recursive: true });
});

interface Ran {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

async function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const child = spawn(program, ["gen-config", ...args], {
    cwd,
    // Nothing of what clients or firebreak have in the environment of whoever runs the tests.
    env: { PATH: process.env.PATH, HOME: home, FIREBREAK_RUNTIME_DIR: path.join(home, "run"), XDG_CACHE_HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (chunk) => (text[name] += chunk));
  const exitCode = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { exitCode, ...text };
}

async function ok(args: string[], env?: NodeJS.ProcessEnv): Promise<Ran> {
  const ran = await run(args, env);
  assert.equal(ran.exitCode, 0, ran.stderr);
  return ran;
}

async function json<T>(args: string[], env?: NodeJS.ProcessEnv): Promise<T> {
  return JSON.parse((await ok([...args, "--json"], env)).stdout) as T;
}

interface Written {
  file: string;
  changed: boolean;
  text: string;
  diff: string;
  backup?: string;
}

for (const client of CLIENT_IDS) {
  test(`${client}: written, and taken out`, async () => {
    const { file, text } = await json<Written>(["--client", client, "--write"]);
    assert.ok(file.startsWith(home), file);
    assert.equal(readFileSync(file, "utf8"), text);
    assert.ok(text.includes(program));
    const { backup = "" } = await json<Written>(["--client", client, "--remove"]);
    assert.ok(!readFileSync(file, "utf8").includes(program));
    assert.equal(readFileSync(backup, "utf8"), text);
  });
}

test("nothing is written without --write, where the file has it already, and where there is nothing to take out", async () => {
  for (const client of ["gemini", "codex"]) {
    const { file, changed } = await json<Written>(["--client", client]);
    assert.equal(changed, false);
    assert.throws(() => readFileSync(file), { code: "ENOENT" });
    assert.equal((await json<Written>(["--client", client, "--remove"])).changed, false);
    assert.equal((await json<Written>(["--client", client, "--write"])).changed, true);
    const { changed: again, diff } = await json<Written>(["--client", client, "--write"]);
    assert.deepEqual({ again, diff }, { again: false, diff: "" });
    assert.deepEqual(readdirSync(path.dirname(file)), [path.basename(file)]);
  }
});

test("the change is shown as a diff, a link stays, and what it was is beside it", async () => {
  const kept = path.join(home, "dotfiles.json");
  const mine = '{\n  // mine\n  "mcpServers": {\n    "a": { "command": "x" } // A\n  }\n}\n';
  writeFileSync(kept, mine);
  const file = path.join(home, ".cursor", "mcp.json");
  mkdirSync(path.dirname(file));
  symlinkSync(kept, file);
  const { stdout, stderr } = await ok(["--client", "cursor", "--write", "--name", "vms"]);
  assert.match(stdout, /^--- .*mcp\.json\n\+\+\+ .*mcp\.json\n@@ /);
  assert.match(stdout, /^- {4}"a": \{ "command": "x" \} \/\/ A$/m);
  assert.match(stdout, /^\+ {4}"a": \{ "command": "x" \}, \/\/ A$/m);
  assert.match(stdout, /^\+ {4}"vms": \{$/m);
  const [, backup] = /is kept: (\S+)/.exec(stderr) ?? [];
  assert.equal(readFileSync(backup ?? "", "utf8"), mine);
  assert.equal(path.dirname(backup ?? ""), path.dirname(file));
  await ok(["--client", "cursor", "--remove", "--name", "vms"]);
  assert.equal(readFileSync(kept, "utf8"), mine);
});

test("a file that is not JSON is refused with line and column, and left alone", async () => {
  const file = path.join(cwd, ".mcp.json");
  writeFileSync(file, '{\n  "mcpServers": {,}\n}\n');
  const { exitCode, stderr } = await run(["--client", "claude-code", "--scope", "project", "--write"]);
  assert.equal(exitCode, 4);
  assert.match(stderr, /\.mcp\.json: line 2, column 18: not valid JSON .*CLIENT_CONFIG_INVALID/);
  assert.deepEqual(readdirSync(cwd), [".mcp.json"]);
});

test("somebody else's server of that name is not replaced, unless that is asked for", async () => {
  const file = path.join(cwd, ".mcp.json");
  const mine = '{"mcpServers":{"github":{"command":"npx","timeout":3}}}';
  writeFileSync(file, mine);
  const args = ["--client", "claude-code", "--scope", "project", "--server", "github"];
  for (const action of ["--write", "--remove"]) {
    const { exitCode, stderr } = await run([...args, action]);
    assert.equal(exitCode, 4);
    assert.match(stderr, /CLIENT_ENTRY_CONFLICT/);
  }
  assert.equal(readFileSync(file, "utf8"), mine);
  await ok([...args, "--write", "--replace"]);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")).mcpServers.github, {
    type: "stdio",
    command: program,
    args: ["mcp", "run", "github"],
    env: { FIREBREAK_RUNTIME_DIR: path.join(home, "run") },
  });
});

describe("HTTP", () => {
  test("without a daemon that listens it says how to have one", async () => {
    const { exitCode, stderr } = await run(["--client", "codex", "--transport", "http"]);
    assert.equal(exitCode, 4);
    assert.match(stderr, /DAEMON_NOT_LISTENING[\s\S]*daemon start --listen/);
  });

  test("the URL is the daemon's, the key's value is nowhere", async () => {
    const env = { FIREBREAK_RUNTIME_DIR: path.join(home, "run"), FIREBREAK_HOME: path.join(home, "fb") };
    // What `status` asks of a daemon, and what it says.
    const { socket } = resolvePaths(env);
    mkdirSync(path.dirname(socket), { recursive: true });
    const asked: string[] = [];
    const daemon = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          version: "0",
          pid: 1,
          listen: { address: "0.0.0.0:0", allowedHosts: [], url: "http://0.0.0.0:4711" },
        }),
      );
    });
    await new Promise<void>((resolve) => daemon.listen(socket, resolve));
    try {
      const key = { ...env, FIREBREAK_API_KEY: "fb_the-value-of-a-key" };
      const { stdout, stderr } = await ok(
        ["--client", "codex", "--transport", "http", "--server", "git", "--server", "time"],
        key,
      );
      assert.match(
        stdout,
        /url = "http:\/\/127\.0\.0\.1:4711\/servers\/git\/mcp"\nbearer_token_env_var = "FIREBREAK_API_KEY"/,
      );
      assert.match(stdout, /\/servers\/time\/mcp/);
      assert.doesNotMatch(stdout + stderr, /the-value/);
      assert.deepEqual(asked, ["/v1/status"]);
    } finally {
      daemon.close();
    }
  });

  test("FireMCP's way: a file of servers becomes a file of URLs", async () => {
    const servers = { files: { command: "x" }, off: { command: "x", disabled: true }, "My Time": { command: "y" } };
    writeFileSync(path.join(cwd, "servers.json"), JSON.stringify({ mcpServers: servers }));
    await ok(["servers.json", "mcp.json", "-b", "http://172.20.0.2:8080", "-p", "/servers", "-s", "/sse", "--no-key"]);
    assert.deepEqual(JSON.parse(readFileSync(path.join(cwd, "mcp.json"), "utf8")), {
      mcpServers: {
        files: { type: "sse", url: "http://172.20.0.2:8080/servers/files/sse" },
        "My Time": { type: "sse", url: "http://172.20.0.2:8080/servers/My%20Time/sse" },
      },
    });
    // The daemon has moved: its entries are known again.
    await ok(["servers.json", "mcp.json", "-b", "http://10.0.0.1:1", "-s", "/sse", "--no-key"]);
    assert.match(readFileSync(path.join(cwd, "mcp.json"), "utf8"), /"http:\/\/10\.0\.0\.1:1\/servers\/files\/sse"/);
    const { stdout } = await ok(["servers.json", "-b", "http://127.0.0.1:9600"]);
    assert.equal(JSON.parse(stdout).mcpServers.files.headers.Authorization, `Bearer \${FIREBREAK_API_KEY}`);
  });
});

test("what makes no sense is an error, and says so", async () => {
  for (const [args, says] of [
    [[], /which client/],
    [["--client", "emacs"], /no client 'emacs'/],
    [["--client", "claude-desktop", "--scope", "project"], /no file for the scope/],
    [["--client", "claude-desktop", "--url", "http://127.0.0.1:1"], /programs only/],
    [["--client", "cursor", "--write", "--remove"], /one or the other/],
    [["--client", "cursor", "--url", "ftp://x"], /no URL/],
    [["--client", "cursor", "--url", "http://me:secret@x"], /a password in a URL/],
    [["--client", "cursor", "--url", "http://x", "--key-env", "fb_key-itself"], /no name of a variable/],
    [["--client", "cursor", "--server", "A_B"], /no name of a server/],
    [["--client", "cursor", "--server", "a", "--servers"], /one entry for all/],
    [["--client", "cursor", "--name", "a b"], /no name that clients take/],
    [["--client", "cursor", "--transport", "stdio", "--url", "http://x"], /URLs are for/],
    [["no-such.json"], /cannot read/],
  ] as const) {
    const { exitCode, stderr } = await run([...args]);
    assert.equal(exitCode, 2, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, says);
  }
  assert.deepEqual(readdirSync(home), ["project"]);
});
