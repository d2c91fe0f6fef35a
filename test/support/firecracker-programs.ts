import { chmod, mkdtemp } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { runCommand } from "../../src/platform/process.ts";
import { type FakeSettings, installFakeFirecracker } from "../fakes/firecracker/install.ts";

/** A fake of Firecracker that runs real guests, for a daemon: its environment. The folder is the caller's to remove. */
export async function installFirecrackers(
  settings: Partial<FakeSettings> = {},
): Promise<{ folder: string; env: NodeJS.ProcessEnv }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "fb-fc-"));
  await chmod(folder, 0o755);
  const { stdout } = await runCommand(agentBinaryPath(), ["tsc-khz"], { allowFailure: true });
  const program = await installFakeFirecracker(folder, { version: "1.16.1", tscKhz: Number(stdout) || 0, ...settings });
  return { folder, env: { FIREBREAK_FIRECRACKER: program } };
}
