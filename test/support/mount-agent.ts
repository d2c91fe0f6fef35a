import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection } from "../../src/guest/connection.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { exec } from "./guest-contract.ts";
import { waitFor } from "./wait-for.ts";

/** Why this host's kernel cannot stand in for a guest's; undefined when it can. */
export function missingForMounts(): string | undefined {
  if (process.geteuid?.() !== 0) return "only root mounts";
  return existsSync("/dev/fuse") ? undefined : "this kernel has no FUSE";
}

/** The real guest agent as a process of this host, in a mount namespace of its own, where it mounts what it is asked to. */
export async function startMountAgent() {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "fb-mount-")));
  const socket = path.join(folder, "agent.sock");
  const agent = spawn("unshare", ["--mount", agentBinaryPath(), "serve", "--socket", socket], { stdio: "ignore" });
  await waitFor(() => existsSync(socket));
  const connect = () => {
    const connection = new GuestConnection({
      open: async () => {
        const stream = net.connect(socket);
        await once(stream, "connect");
        return stream;
      },
      attachDeadlineMs: 10_000,
    });
    return { connection, client: new GuestClient(connection) };
  };
  const close = async () => {
    agent.kill("SIGKILL");
    if (agent.exitCode === null && agent.signalCode === null) await once(agent, "exit");
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, connect, close };
}

/** Runs a shell script where the agent is, which has to succeed; returns what it says. */
export async function runShell(client: GuestClient, script: string): Promise<string> {
  const { exit, stdout, stderr } = await exec(client, { argv: ["bash", "-euc", script] });
  if (exit?.exitCode !== 0) throw new Error(`exit ${exit?.exitCode}: ${stderr}${stdout}`);
  return stdout.toString();
}
