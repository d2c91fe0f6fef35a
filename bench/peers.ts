import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";
import { runCommand } from "../src/platform/process.ts";
import { freePort } from "../test/support/free-port.ts";
import { ECHO_CODE } from "./echo-server.ts";

const INSTALL_MS = 300_000;
const START_MS = 60_000;

/** Revisions of the protocol that a peer's clients may speak. */
const LEGACY = "2025-11-25";
const MODERN = "2026-07-28";

interface PeerKind {
  name: string;
  entry: string;
  eras: string[];
  args: (port: string, server: string) => string[];
}

const KINDS: PeerKind[] = [
  {
    name: "mcp-proxy",
    entry: "dist/bin/mcp-proxy.mjs",
    eras: [LEGACY, MODERN],
    args: (port, server) => [
      ...["--host", "127.0.0.1", "--port", port, "--server", "stream"],
      ...["--", process.execPath, server],
    ],
  },
  {
    name: "supergateway",
    entry: "dist/index.js",
    eras: [LEGACY],
    args: (port, server) => [
      ...["--stdio", `'${process.execPath}' '${server}'`, "--outputTransport", "streamableHttp"],
      // Without it, it starts the server anew for each request.
      "--stateful",
      ...["--port", port, "--logLevel", "none"],
    ],
  },
];

/** Another gateway, with the echo server behind it, both on this host. */
export interface RunningPeer {
  /** With its version. */
  name: string;
  eras: string[];
  url: URL;
}

export interface Peers {
  all: RunningPeer[];
  /** Starts the same server without anything before it. */
  serverArgv: string[];
  close: () => Promise<void>;
}

/** Installs the peers, in the versions of the lock file beside, into a temporary folder, and starts them. */
export async function openPeers(): Promise<Peers> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-peers-"));
  const children: ChildProcess[] = [];
  const close = async () => {
    await Promise.all(children.map(endGroup));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const file of ["package.json", "package-lock.json"])
      copyFileSync(path.join(PACKAGE_ROOT, "bench", "peers", file), path.join(folder, file));
    await runCommand("npm", ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"], {
      timeoutMs: INSTALL_MS,
      env: {
        ...process.env,
        PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
      },
    });
    const server = path.join(folder, "server.cjs");
    writeFileSync(server, ECHO_CODE);
    const all: RunningPeer[] = [];
    for (const { name, entry, eras, args } of KINDS) {
      const module = path.join(folder, "node_modules", name);
      const { version } = JSON.parse(readFileSync(path.join(module, "package.json"), "utf8")) as { version: string };
      const port = await freePort();
      const argv = [path.join(module, entry), ...args(String(port), server)];
      // A group of its own: the server that it starts ends with it.
      const child = spawn(process.execPath, argv, { stdio: "ignore", detached: true });
      children.push(child);
      await waitForPort(port, child);
      all.push({ name: `${name} ${version}`, eras, url: new URL(`http://127.0.0.1:${port}/mcp`) });
    }
    return { all, serverArgv: [process.execPath, server], close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function waitForPort(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    const socket = net.connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error(`${child.spawnargs[1]} does not listen`);
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  process.kill(-child.pid, "SIGKILL");
  await exited;
}
