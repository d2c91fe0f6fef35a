import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";

const SUITE = path.join(PACKAGE_ROOT, "node_modules/@modelcontextprotocol/conformance/dist/index.js");

/** Runs the protocol's conformance suite for servers against a URL; what it leaves is below `folder`. */
export async function runSuite(
  url: string,
  args: readonly string[],
  folder: string,
): Promise<{ exitCode: number; output: string }> {
  const child = spawn(process.execPath, [SUITE, "server", "--url", url, ...args, "-o", path.join(folder, "out")], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number]>,
  ]);
  return { exitCode, output: output + errors };
}
