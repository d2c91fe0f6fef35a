import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS, type McpAnswer, type McpConnection, openMcpClient } from "../support/mcp-client.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

for (const { era, vm, options } of ERAS) {
  describe(`a client of revision ${era}`, () => {
    let connection: McpConnection;
    let call: McpConnection["call"];
    before(async () => {
      connection = await openMcpClient(fixture, options);
      call = connection.call;
      const made = await call("vm_create", { name: vm, env: { FROM_VM: "yes" } });
      assert.equal(made.isError, false, made.text);
    });
    after(() => connection.close());

    const run = (command: string, more: Record<string, unknown> = {}) => call("run_command", { vm, command, ...more });
    const countProcesses = async (pattern: string) => {
      const { data } = await run(`ps -eo args | grep -c '[${pattern[0]}]${pattern.slice(1)}'`);
      assert.match(String(data.stdout), /^\d+\n$/);
      return Number(data.stdout);
    };
    const waitForNone = (pattern: string) => waitFor(async () => (await countProcesses(pattern)) === 0);

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
      const result = await run("sleep 7772 & echo left");
      assert.equal(result.data.stdout, "left\n");
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
        const page: McpAnswer = await call("file_read", { vm, path: cut.path, offset, length: 1024 * 1024 });
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
      await Promise.all([call("vm_list", {}), run("true"), call("file_list", { vm, path: "/" })]);
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

    test("a client that goes away takes its running commands along", async () => {
      const other = await openMcpClient(fixture, options);
      const lost = other.call("run_command", { vm, command: "sleep 7775" });
      while ((await countProcesses("sleep 7775")) < 1) await delay(50);
      await other.close();
      assert.equal((await lost).data.code, "OPERATION_CANCELED");
      await waitForNone("sleep 7775");
    });
  });
}
