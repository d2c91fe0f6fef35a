import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type CallToolResult, Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { TOOLS } from "../../src/mcp/registry.ts";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import { DEFAULT_TOOLSETS, TOOLSETS, toolsOf } from "../../src/mcp/toolsets.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

interface Answer {
  isError: boolean;
  text: string;
  // Structured content is looked into by field; its shape is checked by the client against the tool's output schema.
  data: Record<string, unknown>;
  content: CallToolResult["content"];
}

async function openClient(options: ClientOptions) {
  const transport = new StdioClientTransport({
    command: fixture.program,
    args: ["serve", "mcp", "--toolsets", "all"],
    env: Object.fromEntries(
      Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
    ),
  });
  const client = new Client({ name: "e2e", version: "0" }, options);
  await client.connect(transport);
  // The client checks structured content against the output schemas it has seen.
  await client.listTools();
  const call = async (
    name: string,
    args: Record<string, unknown>,
    request: Parameters<Client["callTool"]>[1] = {},
  ): Promise<Answer> => {
    const result = (await client.callTool(
      { name, arguments: args },
      { timeout: 180_000, ...request },
    )) as CallToolResult;
    const [first] = result.content;
    const text = first?.type === "text" ? first.text : "";
    return {
      isError: result.isError === true,
      text,
      data: (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>,
      content: result.content,
    };
  };
  return { client, call, close: () => client.close() };
}

/** Previews a call and confirms it. */
async function confirmed(call: Connection["call"], name: string, args: Record<string, unknown>): Promise<Answer> {
  const { data, text } = await call(name, { ...args, preview: true });
  assert.ok(data.preview, text);
  return call(name, { ...args, confirm_token: (data.preview as { confirm_token: string }).confirm_token });
}
type Connection = Awaited<ReturnType<typeof openClient>>;

const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

const ERAS: { era: string; vm: string; options: ClientOptions }[] = [
  { era: "2025-11-25", vm: "legacy", options: {} },
  { era: "2026-07-28", vm: "modern", options: { versionNegotiation: { mode: { pin: "2026-07-28" } } } },
];

for (const { era, vm, options } of ERAS) {
  describe(`a client of revision ${era}`, () => {
    let connection: Connection;
    let call: Connection["call"];
    before(async () => {
      connection = await openClient(options);
      call = connection.call;
    });
    after(() => connection.close());

    const run = (command: string, more: Record<string, unknown> = {}) => call("run_command", { vm, command, ...more });
    const countProcesses = async (pattern: string) => {
      const { data } = await run(`ps -eo args | grep -c '[${pattern[0]}]${pattern.slice(1)}'`);
      assert.match(String(data.stdout), /^\d+\n$/);
      return Number(data.stdout);
    };
    const waitForNone = async (pattern: string) => {
      for (let tries = 0; tries < 50; tries++) {
        if ((await countProcesses(pattern)) === 0) return;
        await delay(100);
      }
      assert.fail(`processes named '${pattern}' go on in the VM`);
    };

    test("speaks that revision and sees every tool", async () => {
      assert.equal(connection.client.getNegotiatedProtocolVersion(), era);
      assert.match(connection.client.getInstructions() ?? "", /never on the local machine/);
      const { tools } = await connection.client.listTools();
      assert.deepEqual(
        tools.map((tool) => tool.name),
        TOOLS.map((tool) => tool.name),
      );
    });

    test("a VM is created with progress that grows", async () => {
      const notes: { progress: number; message?: string }[] = [];
      const created = await call(
        "vm_create",
        { name: vm, memory_mib: 512, env: { FROM_VM: "yes" } },
        { onprogress: (note) => void notes.push(note) },
      );
      assert.equal(created.isError, false, created.text);
      assert.equal(created.data.vm, vm);
      assert.equal(created.data.state, "running");
      assert.match(created.text, new RegExp(`^\\[vm ${vm} · created · running\\]\n`));
      assert.ok(notes.length >= 1, JSON.stringify(notes));
      assert.ok(notes.every((note, index) => index === 0 || note.progress > (notes[index - 1]?.progress ?? 0)));
    });

    test("vm_list and vm_get tell of it", async () => {
      const { data } = await call("vm_list", {});
      assert.ok((data.vms as { vm: string }[]).some((entry) => entry.vm === vm));
      assert.equal((await call("vm_get", { vm })).data.memory_mib, 512);
    });

    test("a command runs in the VM and says so", async () => {
      const result = await run("hostname; echo $FROM_VM $MORE; pwd; cat; echo to-stderr >&2", {
        env: { MORE: "x" },
        cwd: "/tmp",
        stdin: "typed\n",
      });
      assert.equal(result.isError, false, result.text);
      assert.match(result.text, new RegExp(`^\\[vm ${vm} · exit 0 · \\d+ ms\\]\n`));
      assert.equal(result.data.stdout, `${vm}\nyes x\n/tmp\ntyped\n`);
      assert.equal(result.data.stderr, "to-stderr\n");
      assert.equal(result.data.exit_code, 0);
      assert.equal(result.data.vm, vm);
    });

    test("argv runs without a shell, as another user", async () => {
      const result = await call("run_command", { vm, argv: ["echo", "a b", "$HOME"], user: "nobody" });
      assert.equal(result.data.stdout, "a b $HOME\n");
      assert.equal((await call("run_command", { vm, argv: ["id", "-un"], user: "nobody" })).data.stdout, "nobody\n");
    });

    test("a non-zero exit code is a result, a signal too", async () => {
      const failed = await run("echo no; exit 3");
      assert.equal(failed.isError, false);
      assert.equal(failed.data.exit_code, 3);
      assert.match(failed.text, /· exit 3 ·/);
      const killed = await run("kill -9 $$");
      assert.equal(killed.data.status, "signaled");
      assert.equal(killed.data.signal, "SIGKILL");
      assert.equal(killed.data.exit_code, undefined);
    });

    test("a command that does not exist is an error", async () => {
      const result = await call("run_command", { vm, argv: ["no-such-program"] });
      assert.equal(result.isError, true);
      assert.equal(result.data.code, "COMMAND_NOT_FOUND");
      assert.equal(result.data.retryable, false);
    });

    test("a timeout ends the command and its children", async () => {
      const result = await run("echo begun; sleep 7771 & sleep 7771", { timeout_ms: 1500 });
      assert.equal(result.isError, false, result.text);
      assert.equal(result.data.status, "timed_out");
      assert.equal(result.data.stdout, "begun\n");
      await waitForNone("sleep 7771");
    });

    test("a child in the background does not hold the call up", async () => {
      const startedMs = Date.now();
      const result = await run("sleep 7772 & echo left");
      assert.equal(result.data.stdout, "left\n");
      assert.ok(Date.now() - startedMs < 10_000);
      await run("kill $(pgrep -x sleep)");
    });

    test("binary output comes as base64, byte for byte", async () => {
      const result = await run("printf '\\377\\000\\001\\200'");
      assert.equal(result.data.stdout_encoding, "base64");
      assert.deepEqual(Buffer.from(String(result.data.stdout), "base64"), Buffer.from([0xff, 0, 1, 0x80]));
    });

    test("long output is cut, says so, and can be read whole", async () => {
      const result = await run("seq 1 300000");
      const whole = `${Array.from({ length: 300_000 }, (_, index) => index + 1).join("\n")}\n`;
      assert.equal(result.isError, false, result.text);
      assert.equal(result.data.stdout_bytes, whole.length);
      const cut = result.data.stdout_cut as { bytes: number; offset: number; path: string; saved_bytes: number };
      const shown = String(result.data.stdout);
      assert.ok(shown.length < 70_000);
      assert.ok(shown.startsWith(whole.slice(0, cut.offset)));
      assert.ok(shown.endsWith(whole.slice(cut.offset + cut.bytes)));
      assert.match(
        result.text,
        new RegExp(
          `${cut.bytes} bytes cut here; all of it is in the VM in ${cut.path}: file_read with offset ${cut.offset}`,
        ),
      );
      assert.equal(cut.saved_bytes, whole.length);
      let read = "";
      for (let offset: number | undefined = 0; offset !== undefined; ) {
        const page: Answer = await call("file_read", { vm, path: cut.path, offset, length: 1024 * 1024 });
        read += String(page.data.content);
        offset = page.data.next_offset as number | undefined;
      }
      assert.equal(sha256(read), sha256(whole));
    });

    test("output beyond what is saved neither hangs nor is passed off as whole", async () => {
      const result = await run("head -c 100M /dev/zero; echo end >&2", { max_output_bytes: 4096 });
      assert.equal(result.isError, false, result.text);
      assert.equal(result.data.stdout_bytes, 100 * 1024 * 1024);
      assert.equal(result.data.stderr, "end\n");
      const cut = result.data.stdout_cut as { path: string; saved_bytes: number };
      assert.equal(cut.saved_bytes, 64 * 1024 * 1024);
      assert.equal((await run(`stat -c %s ${cut.path}; rm ${cut.path}`)).data.stdout, `${64 * 1024 * 1024}\n`);
    });

    test("cancelling a call ends the command's process group in the VM", async () => {
      const aborter = new AbortController();
      const running = call("run_command", { vm, command: "sleep 7773 & sleep 7773" }, { signal: aborter.signal });
      const outcome = running.then(
        () => "answered",
        () => "cancelled",
      );
      while ((await countProcesses("sleep 7773")) < 2) await delay(50);
      aborter.abort();
      assert.equal(await outcome, "cancelled");
      await waitForNone("sleep 7773");
    });

    test("calls that are cancelled at once leave nothing in the VM either", async () => {
      for (let round = 0; round < 12; round++) {
        const aborter = new AbortController();
        const request = { signal: aborter.signal };
        const running = call("run_command", { vm, command: "sleep 7776" }, request).catch(() => {});
        await delay(round * 3);
        aborter.abort();
        await running;
      }
      await waitForNone("sleep 7776");
      // The answer to a cancelled call says nothing, so a command may still be on its way.
      await delay(500);
      await waitForNone("sleep 7776");
    });

    test("output that the VM's disk has no room for is cut, not an error", async () => {
      const filled = await run(
        "fallocate -l $(df -B1 --output=avail / | tail -1) /srv/filler; df --output=avail / | tail -1",
      );
      const result = await run("seq 1 300000; exit 4");
      await run("rm /srv/filler");
      assert.equal(result.isError, false, `${result.text.slice(0, 300)} ${filled.text}`);
      assert.equal(result.data.exit_code, 4);
      assert.equal((result.data.stdout_cut as { path?: string }).path, undefined, filled.text);
      assert.match(result.text, /could not be saved in the VM and are lost/);
    });

    test("a long command does not hold other calls up", async () => {
      const aborter = new AbortController();
      const running = call("run_command", { vm, command: "sleep 7774" }, { signal: aborter.signal }).catch(() => {});
      while ((await countProcesses("sleep 7774")) < 1) await delay(50);
      const startedMs = Date.now();
      await Promise.all([call("vm_list", {}), run("true"), call("file_list", { vm, path: "/" })]);
      assert.ok(Date.now() - startedMs < 5_000);
      aborter.abort();
      await running;
      await waitForNone("sleep 7774");
    });

    test("files come back byte for byte", async () => {
      const allBytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
      const cases: { name: string; bytes: Buffer; encoding: "text" | "base64" }[] = [
        { name: "text", bytes: Buffer.from("\ufeffäöü € 🎉\r\nlast line without end"), encoding: "text" },
        { name: "bytes", bytes: allBytes, encoding: "base64" },
        { name: "empty", bytes: Buffer.alloc(0), encoding: "text" },
      ];
      for (const { name, bytes, encoding } of cases) {
        const path = `/srv/made/by mcp/${name} ü`;
        const content = bytes.toString(encoding === "text" ? "utf8" : "base64");
        const written = await call("file_write", { vm, path, content, encoding, mode: "0640" });
        assert.equal(written.isError, false, written.text);
        assert.equal(written.data.size_bytes, bytes.length);
        const read = await call("file_read", { vm, path });
        assert.equal(read.data.encoding, encoding);
        assert.deepEqual(Buffer.from(String(read.data.content), encoding === "text" ? "utf8" : "base64"), bytes);
        assert.equal(read.data.mode, "0640");
        const { data } = await call("run_command", { vm, argv: ["sha256sum", path] });
        assert.equal(String(data.stdout).slice(0, 64), sha256(bytes));
      }
      const { data } = await call("file_list", { vm, path: "/srv/made/by mcp", limit: 2 });
      const next = await call("file_list", { vm, path: "/srv/made/by mcp", cursor: data.next_cursor });
      const names = [data, next.data].flatMap(({ entries }) => (entries as { name: string }[]).map(({ name }) => name));
      assert.deepEqual(names, ["bytes ü", "empty ü", "text ü"]);
    });

    test("an image comes as one", async () => {
      const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
      await call("file_write", { vm, path: "/srv/dot", content: png, encoding: "base64" });
      const { content } = await call("file_read", { vm, path: "/srv/dot" });
      assert.deepEqual(content[1], { type: "image", data: png, mimeType: "image/png" });
    });

    test("what has been deleted is gone", async () => {
      await call("file_write", { vm, path: "/srv/gone/file", content: "x" });
      assert.equal((await call("file_delete", { vm, path: "/srv/gone/file" })).isError, false);
      const again = await call("file_read", { vm, path: "/srv/gone/file" });
      assert.equal(again.isError, true);
      assert.equal(again.data.code, "FILE_NOT_FOUND");
      assert.equal((await call("file_delete", { vm, path: "/srv/gone/file" })).data.code, "FILE_NOT_FOUND");
      await call("file_write", { vm, path: "/srv/gone/file", content: "x" });
      assert.equal((await call("file_delete", { vm, path: "/srv/gone" })).data.code, "DIRECTORY_NOT_EMPTY");
      assert.equal((await call("file_delete", { vm, path: "/srv/gone", recursive: true })).isError, false);
    });

    test("mistakes are told with code, class and what to do", async () => {
      const unknown = await call("run_command", { vm: "nowhere", command: "true" });
      assert.equal(unknown.isError, true);
      assert.equal(unknown.data.code, "VM_NOT_FOUND");
      assert.equal(unknown.data.class, "not_found");
      assert.match(String(unknown.data.hint), new RegExp(`Existing VMs:.*\\b${vm}\\b`));
      const relative = await call("file_read", { vm, path: "etc/hostname" });
      assert.equal(relative.data.code, "INVALID_PATH");
      const wrong = await call("run_command", { vm, comand: "true" });
      assert.equal(wrong.data.code, "INVALID_ARGUMENT");
      assert.match(wrong.text, /unknown argument 'comand'/);
      assert.equal((await call("file_read", { vm, path: "/" })).data.code, "FILE_IS_A_DIRECTORY");
      assert.equal(
        (await call("file_write", { vm, path: "/srv/x", content: "%%%", encoding: "base64" })).data.code,
        "INVALID_ARGUMENT",
      );
    });

    test("a client that goes away takes its running commands along", async () => {
      const other = await openClient(options);
      const lost = other.call("run_command", { vm, command: "sleep 7775" });
      while ((await countProcesses("sleep 7775")) < 1) await delay(50);
      await other.close();
      assert.equal((await lost).data.code, "OPERATION_CANCELED");
      await waitForNone("sleep 7775");
    });

    test("a VM is saved, spoilt, restored and forked, with what runs in it", async () => {
      await run("echo good > /root/state; (while sleep 0.1; do date +%s > /root/beat; done) > /dev/null 2>&1 &");
      const taken = await call("snapshot_create", { vm, name: `${vm}-good` });
      assert.equal(taken.isError, false, taken.text);
      assert.ok((taken.data.size_bytes as number) > 1024 * 1024);
      const again = await call("snapshot_create", { vm, name: `${vm}-good` });
      assert.equal(again.data.code, "SNAPSHOT_ALREADY_EXISTS");
      await run("echo bad > /root/state");
      const forked = await call("snapshot_fork", { snapshot: `${vm}-good`, name: `${vm}-fork` });
      assert.deepEqual(forked.data, { vm: `${vm}-fork`, state: "running" }, forked.text);
      const restored = await confirmed(call, "snapshot_restore", { snapshot: `${vm}-good` });
      assert.match(restored.text, new RegExp(`^\\[vm ${vm} · restored · running\\]`));
      for (const [name, state] of [
        [vm, "good"],
        [`${vm}-fork`, "good"],
      ]) {
        const { data } = await call("run_command", {
          vm: name,
          command: "hostname; cat /root/state; rm -f /root/beat; sleep 1; ls /root/beat",
        });
        assert.equal(data.stdout, `${name}\n${state}\n/root/beat\n`);
      }
      assert.equal((await call("vm_get", { vm })).data.origin, "snapshot");
      const { data } = await call("snapshot_list", {});
      const found = (data.snapshots as { snapshot: string; vm: string }[]).find((entry) => entry.vm === vm);
      assert.equal(found?.snapshot, `${vm}-good`);
      assert.deepEqual((await call("snapshot_get", { snapshot: `${vm}-good` })).data.ancestors, []);
      await confirmed(call, "vm_delete", { vm: `${vm}-fork` });
      assert.equal((await confirmed(call, "snapshot_delete", { snapshot: `${vm}-good` })).data.deleted, true);
      const gone = await call("snapshot_fork", { snapshot: `${vm}-good` });
      assert.equal(gone.data.code, "SNAPSHOT_NOT_FOUND");
    });

    test("a paused VM says to be resumed; a suspended one is brought back by the next call, which is told", async () => {
      assert.equal((await call("vm_pause", { vm })).data.state, "paused");
      const refused = await run("true");
      assert.equal(refused.data.code, "VM_STATE_CONFLICT");
      assert.match(String(refused.data.hint), /vm_resume/);
      assert.equal((await call("vm_resume", { vm })).data.state, "running");
      assert.equal((await call("vm_suspend", { vm })).data.state, "suspended");
      const notes: string[] = [];
      const onprogress = ({ message }: { message?: string }) => void notes.push(message ?? "");
      const back = await call("run_command", { vm, command: "hostname" }, { onprogress });
      assert.equal(back.data.stdout, `${vm}\n`, back.text);
      assert.match(notes.join("\n"), /bringing the VM '.*' back/);
      await call("vm_suspend", { vm });
      notes.length = 0;
      const read = await call("file_read", { vm, path: "/root/state" }, { onprogress });
      assert.equal(read.data.content, "good\n", read.text);
      assert.match(notes.join("\n"), /bringing back the VM/);
    });

    test("templates are listed", async () => {
      const { data } = await call("template_list", {});
      assert.ok((data.templates as { image: string; stale: boolean }[]).some((entry) => !entry.stale));
      assert.deepEqual((await confirmed(call, "template_prune", {})).data.deleted, []);
    });

    test("a deleted VM is gone", async () => {
      assert.equal((await confirmed(call, "vm_delete", { vm })).data.deleted, true);
      assert.equal((await call("vm_get", { vm })).data.code, "VM_NOT_FOUND");
    });
  });
}

describe("raw JSON-RPC on stdin", () => {
  const initialize = (id: number) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id,
      method: "initialize",
      params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "probe", version: "0" } },
    });
  const pipe = async (lines: string[], env: NodeJS.ProcessEnv = {}) => {
    const { exitCode, stdout, stderr } = await fixture.cli(["serve", "mcp"], {
      input: `${lines.join("\n")}\n`,
      env,
      timeoutMs: 30_000,
    });
    const messages = stdout
      .trimEnd()
      .split("\n")
      .map(
        (line) => JSON.parse(line) as { id: number | null; result?: Record<string, unknown>; error?: { code: number } },
      );
    return { exitCode, messages, stderr };
  };

  test("one piped initialize is answered, and the end of stdin is the end", async () => {
    const { exitCode, messages, stderr } = await pipe([initialize(1)]);
    assert.equal(exitCode, 0);
    assert.equal(stderr, "");
    assert.equal(messages.length, 1);
    assert.equal(messages[0]?.result?.protocolVersion, "2025-06-18");
  });

  test("the toolsets that are served are those that were asked for", async () => {
    const list = [initialize(1), JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" })];
    const namesOf = async (env: NodeJS.ProcessEnv) => {
      const { messages } = await pipe(list, env);
      const listed = messages.find(({ id }) => id === 2)?.result as { tools: { name: string }[] };
      return listed.tools.map(({ name }) => name);
    };
    assert.deepEqual(
      await namesOf({ FIREBREAK_TOOLSETS: "template" }),
      TOOLSETS.template.map(({ name }) => name),
    );
    const all = await namesOf({ FIREBREAK_TOOLSETS: "all" });
    assert.ok(all.includes("template_list") && all.includes("run_command"));
    const refused = await fixture.cli(["serve", "mcp", "--toolsets", "vm,snapshto"]);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /no toolset 'snapshto'[\s\S]*Did you mean 'snapshot'/);
  });

  test("a malformed line is answered with a parse error, and the next is served", async () => {
    const { exitCode, messages } = await pipe([
      initialize(1),
      "{broken",
      '{"jsonrpc":"2.0"}',
      JSON.stringify({ jsonrpc: "2.0", id: 2, method: "ping" }),
    ]);
    assert.equal(exitCode, 0);
    assert.deepEqual(
      messages.filter((message) => message.error !== undefined).map(({ id, error }) => [id, error?.code]),
      [
        [null, -32700],
        [null, -32600],
      ],
    );
    assert.ok(messages.some((message) => message.id === 2 && message.result !== undefined));
  });

  test("piped calls of quick tools are answered before the end", async () => {
    const call = JSON.stringify({
      jsonrpc: "2.0",
      id: 2,
      method: "tools/call",
      params: { name: "vm_list", arguments: {} },
    });
    const { messages } = await pipe([initialize(1), call]);
    assert.ok(
      messages.some(
        (message) =>
          message.id === 2 && Array.isArray((message.result?.structuredContent as { vms: unknown } | undefined)?.vms),
      ),
    );
  });

  test("tools are listed where no daemon can start; calls say why they fail", async () => {
    const list = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
    const call = JSON.stringify({
      jsonrpc: "2.0",
      id: 3,
      method: "tools/call",
      params: { name: "vm_list", arguments: {} },
    });
    const { exitCode, messages } = await pipe([initialize(1), list, call], {
      FIREBREAK_RUNTIME_DIR: `/tmp/${"x".repeat(120)}`,
    });
    assert.equal(exitCode, 0);
    const listed = messages.find(({ id }) => id === 2)?.result as { tools: unknown[] };
    assert.equal(listed.tools.length, toolsOf(DEFAULT_TOOLSETS).length);
    const failed = messages.find(({ id }) => id === 3)?.result as {
      isError: boolean;
      _meta: Record<string, { code: string }>;
    };
    assert.equal(failed.isError, true);
    assert.equal(failed._meta[FAILURE_KEY]?.code, "SOCKET_PATH_TOO_LONG");
  });

  test("stdin that closes while a VM boots ends the server at once, and no VM is left", async () => {
    const child = spawn(fixture.program, ["serve", "mcp"], { env: fixture.env, stdio: ["pipe", "pipe", "inherit"] });
    const create = {
      jsonrpc: "2.0",
      id: 2,
      method: "tools/call",
      // A boot takes long enough to be interrupted.
      params: { name: "vm_create", arguments: { name: "unwanted", cold: true } },
    };
    child.stdin.write(`${initialize(1)}\n${JSON.stringify(create)}\n`);
    child.stdout.resume();
    const isThere = async () => (await fixture.client.vms.list()).some((vm) => vm.name === "unwanted");
    while (!(await isThere())) await delay(20);
    const closedMs = Date.now();
    child.stdin.end();
    const [exitCode] = await once(child, "exit");
    assert.equal(exitCode, 0);
    assert.ok(Date.now() - closedMs < 3_000);
    for (let tries = 0; tries < 100 && (await isThere()); tries++) await delay(100);
    assert.equal(await isThere(), false);
  });

  test("a signal ends the server as the end of stdin does", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const child = spawn(fixture.program, ["serve", "mcp"], { env: fixture.env, stdio: ["pipe", "pipe", "inherit"] });
      child.stdin.write(`${initialize(1)}\n`);
      await once(child.stdout, "data");
      child.kill(signal);
      assert.deepEqual(await once(child, "exit"), [0, null]);
    }
  });

  test("each legacy revision is spoken as asked for", async () => {
    for (const protocolVersion of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
      const params = { protocolVersion, capabilities: {}, clientInfo: { name: "probe", version: "0" } };
      const list = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
      const { messages } = await pipe([JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }), list]);
      assert.equal(messages.find(({ id }) => id === 1)?.result?.protocolVersion, protocolVersion);
      const listed = messages.find(({ id }) => id === 2)?.result as { tools: unknown[] };
      assert.equal(listed.tools.length, toolsOf(DEFAULT_TOOLSETS).length);
    }
  });
});
