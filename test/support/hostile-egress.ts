import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { startDaemonFixture } from "./daemon-fixture.ts";
import { openUpstream } from "./egress-pair.ts";
import { hostAuthority, openTlsUpstream } from "./opened-pair.ts";
import { waitFor } from "./wait-for.ts";

/** Of the daemon, over what it had before. */
const MOST_GROWTH_BYTES = 200 * 1024 * 1024;

/** Says which line of it this is, again and again over one connection, and ends when the answer is not that line. */
const HEALTHY = `
import socket, sys, time
s = socket.create_connection(("echo.test", int(sys.argv[1])), 120)
lines = s.makefile("rb")
for i in range(10 ** 9):
    line = b"healthy %d\\n" % i
    s.sendall(line)
    if lines.readline() != line: break
    time.sleep(0.05)`;

const WORKS = `
import socket, sys
s = socket.create_connection(("echo.test", int(sys.argv[1])), 60); s.sendall(b"again"); print(s.recv(9).decode())`;

export type HostileEgress = Awaited<ReturnType<typeof openHostileEgress>>;

/**
 * A VM that asks for as much as it can, beside another one whose only connection goes on. Both reach `echo.test`, `source.test`, which pours, and
 * `api.test`, whose requests are looked at, at their ports.
 */
export async function openHostileEgress() {
  /** Lines of the healthy VM that have come, and over how many connections. */
  let heard = 0;
  let healthyConnections = 0;
  const answer = (socket: Socket) => {
    let isHealthy = false;
    socket.on("data", (bytes) => {
      if (!isHealthy && bytes.subarray(0, 7).toString() === "healthy") {
        isHealthy = true;
        healthyConnections++;
      }
      if (isHealthy) heard++;
      socket.write(bytes);
    });
    socket.once("end", () => socket.end());
  };
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-flood-"));
  const caFile = path.join(folder, "host-ca.pem");
  writeFileSync(caFile, await hostAuthority.certificate());
  const api = await openTlsUpstream("api.test");
  const echo = await openUpstream(answer);
  const source = await openUpstream(pour);
  const fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  const python = (vm: string, program: string, ...args: (string | number)[]) =>
    fixture.cli(["vm", "exec", vm, "--", "python3", "-c", program, ...args.map(String)], { timeoutMs: 3_600_000 });
  const processFolder = async () => `/proc/${(await fixture.client.status()).pid}`;
  const peakBytes = async () =>
    1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`${await processFolder()}/status`, "utf8"))?.[1]);
  const close = async () => {
    for (const server of [echo, source, api]) server.close();
    await fixture.close();
    rmSync(folder, { recursive: true });
  };
  const begin = async () => {
    const allow = [
      { host: "echo.test", ports: String(echo.port), private: true },
      { host: "source.test", ports: String(source.port), private: true },
      { host: "api.test", ports: String(api.port), private: true, methods: ["GET"] },
    ];
    const hosts = Object.fromEntries(allow.map(({ host }) => [host, "127.0.0.1"]));
    const policyFile = path.join(folder, "policy.json");
    writeFileSync(policyFile, JSON.stringify({ mode: "allowlist", allow, hosts }));
    for (const name of ["hostile", "healthy"]) await fixture.ok("vm", "create", name, "--policy", policyFile);
    const flow = python("healthy", HEALTHY, echo.port);
    await waitFor(() => heard > 5);
    await writeFile(`${await processFolder()}/clear_refs`, "5");
    return { flow, atFirst: await peakBytes() };
  };
  const { flow, atFirst } = await begin().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  void flow.catch(() => {});

  /** What a program of the hostile VM prints. Meanwhile the healthy one is answered, over one connection; the daemon's memory stays in bounds; afterwards the hostile VM is of use. */
  const against = async (program: string, ...args: (string | number)[]): Promise<string> => {
    let isOver = false;
    const attack = python("hostile", program, ...args).finally(() => {
      isOver = true;
    });
    do {
      const before = heard;
      await waitFor(() => heard > before);
    } while (!isOver);
    const { stdout, stderr, exitCode } = await attack;
    assert.equal(exitCode, 0, stderr);
    const growth = (await peakBytes()) - atFirst;
    assert.ok(growth < MOST_GROWTH_BYTES, `the daemon has grown by ${Math.round(growth / 1024 ** 2)} MiB`);
    const after = await python("hostile", WORKS, echo.port);
    assert.equal(after.stdout, "again\n", after.stderr);
    assert.equal(healthyConnections, 1);
    return stdout;
  };
  const log = async (): Promise<EgressEvent[]> =>
    (await fixture.json<{ events: EgressEvent[] }>("egress", "log", "hostile", "--limit", "1000")).events;
  return { api, echo, source, against, log, close };
}

/** Writes as fast as it is read. */
function pour(socket: Socket): void {
  const block = Buffer.alloc(256 * 1024);
  const fill = () => {
    while (socket.writable && socket.write(block));
  };
  socket.on("drain", fill);
  fill();
}
