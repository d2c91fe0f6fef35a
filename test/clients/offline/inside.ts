import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { pipeline } from "node:stream";
import type { OfflineJob } from "./run-offline.ts";

/**
 * Runs a program where there is no network but loopback, on which the job's doors are: `inside.ts JOB` in a network namespace of its own. UNIX
 * sockets are reached from every namespace, so each door leads to one.
 */
const job = JSON.parse(process.argv[2] ?? "") as OfflineJob;
const up = spawnSync("ip", ["link", "set", "lo", "up"], {
  env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  encoding: "utf8",
});
if (up.status !== 0) {
  process.stderr.write(`loopback cannot be brought up: ${up.stderr ?? up.error}\n`);
  process.exit(125);
}
for (const { port, socketPath } of job.doors) {
  const server = net.createServer((inner) => {
    const outer = net.connect(socketPath);
    // Either end may go away at any moment; the other hears of it by the pipe.
    pipeline(inner, outer, () => {});
    pipeline(outer, inner, () => {});
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}
const [command = "", ...args] = job.argv;
const child = spawn(command, args, { cwd: job.cwd, env: job.env, stdio: "inherit" });
const [code] = (await once(child, "exit")) as [number | null];
// Without a code, a signal has ended it.
process.exit(code ?? 128);
