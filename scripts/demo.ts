import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";
import { resolvePaths } from "../src/platform/paths.ts";

/** The main job, end to end, on a real VM: what `make demo` shows. Ends with exit code 1 at the first thing that is not as it should be. */

const FIREBREAK = path.join(PACKAGE_ROOT, "bin", "firebreak");
const SERVER_DIR = "/opt/filesystem-server";
const scratch = mkdtempSync(path.join(os.tmpdir(), "firebreak-demo-"));
const vm = `demo-${randomBytes(3).toString("hex")}`;
const steps: { name: string; ms: number }[] = [];

interface Outcome {
  exitCode: number;
  stdout: Buffer;
  stderr: string;
}

function firebreak(args: string[], options: { input?: Buffer; showProgress?: boolean } = {}): Outcome {
  const result = spawnSync(FIREBREAK, args, {
    input: options.input ?? Buffer.alloc(0),
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["pipe", "pipe", options.showProgress ? "inherit" : "pipe"],
  });
  return {
    exitCode: result.status ?? 1,
    stdout: result.stdout ?? Buffer.alloc(0),
    stderr: String(result.stderr ?? ""),
  };
}

function expect(holds: boolean, what: string, outcome?: Outcome): void {
  if (holds) return;
  const seen = outcome === undefined ? "" : `\n  exit ${outcome.exitCode}\n  ${outcome.stdout}\n  ${outcome.stderr}`;
  throw new Error(`${what}${seen}`);
}

async function step(name: string, work: () => Promise<string> | string): Promise<void> {
  process.stdout.write(`\n── ${name}\n`);
  const startedMs = performance.now();
  const shown = await work();
  const ms = Math.round(performance.now() - startedMs);
  steps.push({ name, ms });
  process.stdout.write(`${shown.trimEnd()}\n   ${ms} ms\n`);
}

async function main(): Promise<void> {
  await step("Kernel and image (fetched and built once)", () => {
    const built = firebreak(["image", "build", "debian"], { showProgress: true });
    expect(built.exitCode === 0, "the image was not built", built);
    return String(built.stdout);
  });
  await step(`Create a VM: firebreak vm create ${vm}`, () => {
    const created = firebreak(["vm", "create", vm, "--memory", "1G", "--json"], { showProgress: true });
    expect(created.exitCode === 0, "the VM was not created", created);
    const shown = JSON.parse(String(created.stdout)) as { accel: string; accelReason?: string; bootMs: number };
    return `${vm} runs; accelerator ${shown.accel}${shown.accelReason === undefined ? "" : ` (${shown.accelReason})`}; ready after ${shown.bootMs} ms`;
  });
  await step("Run a command: uname -a", () => {
    const uname = firebreak(["vm", "exec", vm, "--", "uname", "-a"]);
    expect(uname.exitCode === 0 && uname.stdout.includes(vm), "uname did not name the VM", uname);
    return String(uname.stdout);
  });

  const content = randomBytes(256 * 1024);
  await step("Write a file, read it back byte for byte", () => {
    const local = path.join(scratch, "bytes");
    const back = path.join(scratch, "bytes.back");
    writeFileSync(local, content);
    const copied = firebreak(["vm", "cp", local, `${vm}:/root/bytes`]);
    expect(copied.exitCode === 0, "the file was not written", copied);
    const fetched = firebreak(["vm", "cp", `${vm}:/root/bytes`, back]);
    expect(fetched.exitCode === 0 && readFileSync(back).equals(content), "the file came back different", fetched);
    return `${content.length} bytes, SHA-256 ${createHash("sha256").update(content).digest("hex").slice(0, 16)}… both ways`;
  });
  await step("Delete it, and read it again", () => {
    const removed = firebreak(["vm", "exec", vm, "--", "rm", "/root/bytes"]);
    expect(removed.exitCode === 0, "the file was not deleted", removed);
    const again = firebreak(["vm", "cp", `${vm}:/root/bytes`, path.join(scratch, "never")]);
    expect(again.exitCode === 3 && again.stderr.includes("FILE_NOT_FOUND"), "a deleted file was read", again);
    return again.stderr;
  });
  await step("An MCP server in the VM, its client on the host", () => driveServer());
  await step(`Delete the VM: firebreak vm delete ${vm}`, () => {
    const id = (JSON.parse(String(firebreak(["vm", "get", vm, "--json"]).stdout)) as { id: string }).id;
    const deleted = firebreak(["vm", "delete", vm]);
    expect(deleted.exitCode === 0, "the VM was not deleted", deleted);
    return leftOvers(id);
  });

  process.stdout.write("\nWhat each step took:\n");
  for (const { name, ms } of steps) process.stdout.write(`  ${String(ms).padStart(7)} ms  ${name}\n`);
  process.stdout.write("\nThe demo is done. Next: bin/firebreak --help\n");
}

/** The real @modelcontextprotocol/server-filesystem, its packages copied in: the VM has no network. */
async function driveServer(): Promise<string> {
  const packages = path.join(scratch, "server");
  cpSync(path.join(PACKAGE_ROOT, "scripts", "demo-server"), packages, { recursive: true });
  process.stdout.write("   fetching the server's npm packages\n");
  // No install script runs on this host; each package is checked against the lock file.
  const install = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], {
    cwd: packages,
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(install.status === 0, "npm could not fetch the server");
  expect(firebreak(["vm", "cp", packages, `${vm}:${SERVER_DIR}`]).exitCode === 0, "the server was not copied");
  expect(firebreak(["vm", "exec", vm, "--", "mkdir", "-p", "/root/shared"]).exitCode === 0, "no folder to serve");

  const lines: string[] = [];
  const client = new Client({ name: "firebreak-demo", version: "1.0.0" });
  const entry = `${SERVER_DIR}/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js`;
  const transport = new StdioClientTransport({
    command: FIREBREAK,
    args: ["vm", "exec", vm, "--", "node", entry, "/root/shared"],
    stderr: "ignore",
    env: process.env as Record<string, string>,
  });
  const startedMs = performance.now();
  await client.connect(transport);
  lines.push(
    `connected to ${client.getServerVersion()?.name} in the VM after ${Math.round(performance.now() - startedMs)} ms`,
  );
  try {
    const { tools } = await client.listTools();
    lines.push(
      `${tools.length} tools: ${tools
        .map((tool) => tool.name)
        .slice(0, 5)
        .join(", ")}, …`,
    );
    const call = async (name: string, args: Record<string, unknown>) => {
      const result = await client.callTool({ name, arguments: args });
      const text = (result.content as { type: string; text?: string }[]).map((part) => part.text ?? "").join("");
      return { text, isError: result.isError === true };
    };
    const written = await call("write_file", { path: "/root/shared/note.txt", content: "written over MCP\n" });
    expect(!written.isError, `write_file: ${written.text}`);
    const read = await call("read_text_file", { path: "/root/shared/note.txt" });
    expect(read.text === "written over MCP\n", `read_text_file: ${read.text}`);
    lines.push("write_file and read_text_file: the same text");
    const seen = firebreak(["vm", "exec", vm, "--", "cat", "/root/shared/note.txt"]);
    expect(String(seen.stdout) === "written over MCP\n", "the file is not in the VM", seen);
    const refused = await call("read_text_file", { path: "/etc/shadow" });
    expect(refused.isError, "a path outside the shared folder was read");
    lines.push(`a path outside is refused: ${refused.text.slice(0, 90)}`);
  } finally {
    await client.close();
  }
  return lines.join("\n");
}

function leftOvers(id: string): string {
  const paths = resolvePaths();
  const list = JSON.parse(String(firebreak(["vm", "list", "--json"]).stdout)) as { vms: { id: string }[] };
  expect(!list.vms.some((entry) => entry.id === id), "the VM is still listed");
  expect(
    !existsSync(path.join(paths.vms, id)) && !existsSync(path.join(paths.runtime, "v", id)),
    "a folder of the VM is left",
  );
  const processes = readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && readProcess(pid).includes(`firebreak-${id}`),
  );
  expect(processes.length === 0, `processes are left: ${processes.join(", ")}`);
  return "nothing is left: no process, no socket, no folder, no row";
}

function readProcess(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

try {
  await main();
} catch (error) {
  process.stdout.write(`\nThe demo failed: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  firebreak(["vm", "delete", vm]);
  rmSync(scratch, { recursive: true, force: true });
}
