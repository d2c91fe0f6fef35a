import { readFileSync } from "node:fs";
import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { limitRow, type Row } from "./stats.ts";

const VMS = 50;
const FLOWS = 20;
const MEMORY_MIB = 128;
/** On two cores, fifty emulated guests take a while to start a Python each. */
const DEADLINE_MS = 600_000;
const MAX_DAEMON_MIB = 256;

/** Opens all connections, says in each which it is, hears it again, and prints how many did. */
const TALK = `
import socket, sys
name, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def opened(i):
    s = socket.create_connection((name, port), ${DEADLINE_MS / 1000}); s.sendall(b"%s %d\\n" % (sys.argv[4].encode(), i)); return s
def heard(i, s):
    with s.makefile("rb") as lines: return lines.readline() == b"%s %d\\n" % (sys.argv[4].encode(), i)
print(sum([heard(i, s) for i, s in [(i, opened(i)) for i in range(count)]]))`;

/** Many VMs of one daemon, each with connections that are all open at the same time: is one lost, and what does the daemon hold for them? */
export async function* benchManyFlows(): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  const echo = await openEcho(VMS * FLOWS);
  try {
    const names = await createVms(fixture, echo.port);
    const { pid } = await fixture.client.status();
    const beforeMib = residentMib(pid);
    const talks = names.map((name) => talk(fixture, name, echo.port));
    const isOver = Promise.all(talks).then(() => true);
    await Promise.race([echo.allOpen, isOver, sleep(DEADLINE_MS, undefined, { ref: false })]);
    const atOnce = echo.open();
    const duringMib = residentMib(pid);
    echo.answer();
    const answered = (await Promise.all(talks)).reduce((sum, each) => sum + each, 0);
    yield limitRow({
      what: `${VMS} VMs of ${MEMORY_MIB} MiB with ${FLOWS} connections each, all at once: the daemon's memory`,
      unit: "MiB",
      value: answered === VMS * FLOWS ? duringMib : Number.NaN,
      note: `${answered} of ${VMS * FLOWS} were answered, ${atOnce} open at once; ${Math.round(duringMib - beforeMib)} MiB more than without them`,
      limit: MAX_DAEMON_MIB,
    });
  } finally {
    echo.close();
    await fixture.close();
  }
}

async function createVms({ client }: DaemonFixture, port: number): Promise<string[]> {
  const names = Array.from({ length: VMS }, (_, index) => `flows-${index}`);
  const network = {
    mode: "allowlist" as const,
    allow: [{ host: "bench.test", ports: String(port), private: true }],
    hosts: { "bench.test": "127.0.0.1" },
  };
  // One by one: what many creations at once take is another bench's.
  for (const name of names) await client.vms.create({ name, memoryMib: MEMORY_MIB, accel: "tcg", network });
  return names;
}

async function talk({ client }: DaemonFixture, name: string, port: number): Promise<number> {
  const argv = ["python3", "-c", TALK, "bench.test", String(port), String(FLOWS), name];
  const stream = await client.execs.start(name, { argv });
  let text = "";
  for await (const output of stream.output()) {
    if (output.type === "stdout") text += output.bytes;
    if (output.type === "stderr") process.stderr.write(output.bytes);
  }
  return Number(text) || 0;
}

/** Gives each line back once there are so many connections, or when it is told to. */
async function openEcho(count: number) {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let isAnswering = false;
  let tell = () => {};
  const allOpen = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      if (isAnswering) socket.write(bytes);
      else held.push(() => socket.write(bytes));
      if (held.length === count) tell();
    });
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 2 * count });
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    allOpen,
    open: () => sockets.size,
    answer: () => {
      isAnswering = true;
      for (const write of held.splice(0)) write();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** proc_pid_status(5) */
function residentMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
