import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { findRemote } from "../../../client/connect.ts";
import { DaemonClient } from "../../../client/daemon-client.ts";
import { canConnect, ensureDaemon } from "../../../client/ensure-daemon.ts";
import type { DaemonStatus } from "../../../contract/daemon.ts";
import type { ListenStatus } from "../../../contract/listen.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { type FirebreakPaths, resolvePaths } from "../../../platform/paths.ts";
import { identifyProcess, isSameProcessAlive } from "../../../platform/process.ts";
import { isJson } from "../../context.ts";
import { formatAge, formatBytes, printJson } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";
import { ProgressLine } from "../../progress.ts";
import { collect } from "../vm-options.ts";

const START_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 10_000;
const DEFAULT_DRAIN_MS = 5_000;
/** What suspending or stopping all VMs may take besides. */
const VMS_DEADLINE_MS = 300_000;

/** A daemon that has been killed takes connections until its memory is given back, and answers none: the next one is started then. */
async function startDaemon(paths: FirebreakPaths): Promise<{ isNew: boolean; status: DaemonStatus }> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const isNew = await ensureDaemon(paths);
    try {
      return { isNew, status: await new DaemonClient(paths.socket).status() };
    } catch (error) {
      if (isNew || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** A daemon on another host is started and stopped there; somebody who means this host's should not take it for that one's. */
function refuseRemote(verb: string): void {
  if (!process.env.FIREBREAK_URL) return;
  throw new FirebreakError(
    "INVALID_ARGUMENT",
    `'daemon ${verb}' is about this host's daemon, and FIREBREAK_URL names another`,
    {
      hint: `Unset it: env -u FIREBREAK_URL firebreak daemon ${verb}`,
    },
  );
}

interface StartOptions {
  /** False for --no-listen. */
  listen?: string | false;
  allowHost?: string[];
}

const UNENCRYPTED =
  "firebreak: what travels to other hosts is not encrypted, keys included; put a TLS proxy before it, or use an SSH tunnel";

async function setListening(options: StartOptions, socket: string): Promise<ListenStatus | undefined> {
  const client = new DaemonClient(socket);
  if (options.listen === false) await client.unlisten();
  else if (options.listen !== undefined)
    return client.listen({ address: options.listen, allowedHosts: options.allowHost ?? [] });
  return undefined;
}

/** Whether a URL of ours is reached from this host alone. */
function isOwnAddress(url: string): boolean {
  return /^http:\/\/(127\.|\[::1\])/.test(url);
}

export function addDaemonCommands(program: Command): void {
  const daemon = program
    .command("daemon")
    .description("the process that owns all state; commands start it when they need it");
  const start = daemon
    .command("start")
    .description(
      "Start the daemon, unless it runs, and say where it listens besides its UNIX socket. That is kept for later starts.",
    )
    .option("--listen <host:port>", "answer callers who have an API key (key create) over TCP too")
    .option("--allow-host <name>", "a name that callers over TCP reach the daemon by (repeatable)", collect)
    .option("--no-listen", "answer on the UNIX socket only")
    .action(async (options: StartOptions) => {
      refuseRemote("start");
      if (options.allowHost !== undefined && typeof options.listen !== "string")
        throw new FirebreakError("INVALID_ARGUMENT", "--allow-host goes with --listen HOST:PORT");
      const { isNew, status } = await startDaemon(resolvePaths());
      const listen = await setListening(options, status.socket);
      const { listen: before, ...rest } = status;
      const now = options.listen === undefined ? before : listen;
      if (isJson(start)) return printJson({ ...rest, ...(now === undefined ? {} : { listen: now }), started: isNew });
      process.stdout.write(
        isNew ? `the daemon runs (process ${status.pid})\n` : `the daemon ran already (process ${status.pid})\n`,
      );
      if (listen?.url !== undefined) process.stdout.write(`it listens on ${listen.url}\n`);
      if (options.listen === false) process.stdout.write("it listens on its UNIX socket only\n");
      if (listen?.url !== undefined && !isOwnAddress(listen.url)) process.stderr.write(`${UNENCRYPTED}\n`);
    });
  const stop = daemon
    .command("stop")
    .description(
      "Stop the daemon. It takes no new work, waits for what is under way, and ends. VMs go on, and the next daemon finds them; commands that still run through it (run, vm exec) are cut off then.",
    )
    .option("--drain <time>", "how long requests under way may take (default: 5s)")
    .option(
      "--vms <what>",
      "keep, suspend or stop: what becomes of running VMs (default: keep); one that is made with --restart always is started again by the next daemon",
    )
    .action(async (options: { drain?: string; vms?: string }) => {
      refuseRemote("stop");
      const paths = resolvePaths();
      const drainMs = options.drain === undefined ? DEFAULT_DRAIN_MS : parseDurationMs("--drain", options.drain);
      const wasRunning = await canConnect(paths.socket);
      if (wasRunning) {
        const client = new DaemonClient(paths.socket);
        const progress = new ProgressLine(isJson(stop));
        const { pid } = await client.shutdown({
          drainMs,
          ...(options.vms === undefined ? {} : { vms: options.vms as "keep" }),
        });
        const identity = await identifyProcess(pid);
        const deadline =
          Date.now() +
          drainMs +
          (options.vms === "keep" || options.vms === undefined ? 0 : VMS_DEADLINE_MS) +
          STOP_DEADLINE_MS;
        // The process, not its socket: the next daemon needs the lock, which goes last.
        while (identity !== undefined && (await isSameProcessAlive(identity))) {
          if (Date.now() > deadline)
            throw new FirebreakError("DEADLINE_EXCEEDED", "the daemon did not end in time", {
              hint: `Its log: ${paths.daemonLog}`,
            });
          const requests = (await client.status().catch(() => undefined))?.draining?.requests;
          if (requests !== undefined) progress.update({ step: "drain", message: `waiting for ${requests} requests` });
          await sleep(20);
        }
        progress.clear();
      }
      if (isJson(stop)) printJson({ stopped: wasRunning });
      else process.stdout.write(wasRunning ? "the daemon has ended\n" : "no daemon was running\n");
    });
  const status = daemon
    .command("status")
    .description(
      "Tell whether the daemon runs, and where it keeps things. Starts nothing; exit code 7 when it does not run.",
    )
    .action(async () => {
      const found = await new DaemonClient((await findRemote()) ?? resolvePaths().socket).status();
      if (isJson(status)) return printJson(found);
      const rows: [string, string][] = [
        ["version", found.version],
        ["process", `${found.pid}, ${formatBytes(found.rssBytes)}`],
        ["started", `${found.startedAt} (${formatAge(found.startedAt)} ago)`],
        ["home", found.home],
        ["socket", found.socket],
        ["listens", formatListen(found.listen)],
        ["log", path.join(found.home, "daemon.log")],
        ["vms", `${found.vms.running} running of ${found.vms.total}`],
      ];
      for (const [label, value] of rows) process.stdout.write(`${label.padEnd(8)} ${value}\n`);
    });
}

function formatListen(listen: ListenStatus | undefined): string {
  if (listen === undefined) return "on its socket only";
  const names = listen.allowedHosts.length > 0 ? ` (as ${listen.allowedHosts.join(", ")}, too)` : "";
  return listen.url === undefined ? `not on ${listen.address}: ${listen.error}` : `${listen.url}${names}`;
}
