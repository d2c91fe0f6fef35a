import net, { type AddressInfo, type Socket } from "node:net";
import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest } from "./guest.ts";
import { RAW_DEVICE, withRawPort } from "./raw-port.ts";
import { limitRow, median, type Row, round } from "./stats.ts";
import { openWayOut } from "./way-out.ts";

const MIB = 1024 * 1024;
const TOTAL_MIB = 128;
const RUNS = 5;
const ROUND_TRIPS = 300;
const MAX_ADDED_MS = 2;
const FLOWS = 1_000;
const MIN_RATIO = 0.5;

/** One byte there and back, again and again, to the first argument's port of the second's name; prints the median in ms. */
const PING = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2]))); s.setsockopt(6, 1, 1)
def trip():
    t = time.perf_counter(); s.sendall(b"x"); s.recv(1); return time.perf_counter() - t
for _ in range(20): trip()
print(sorted(trip() for _ in range(${ROUND_TRIPS}))[${ROUND_TRIPS} // 2] * 1000)`;
/** The same against an echo in the guest itself. */
const PING_WITHIN = `
import socket, sys, threading
l = socket.create_server(("127.0.0.1", 7001))
def echo():
    c, _ = l.accept(); c.setsockopt(6, 1, 1)
    while d := c.recv(1): c.sendall(d)
threading.Thread(target=echo, daemon=True).start()
sys.argv[1:] = ["127.0.0.1", "7001"]${PING}`;
/** As much as a run takes, from one program of the guest to another over its loopback. */
const WITHIN = `
import socket, threading
l = socket.create_server(("127.0.0.1", 7002))
def pour():
    s = socket.create_connection(("127.0.0.1", 7002)); block = bytes(65536)
    for _ in range(${TOTAL_MIB} * 16): s.sendall(block)
    s.close()
threading.Thread(target=pour).start()
c, _ = l.accept(); buffer = bytearray(65536)
while c.recv_into(buffer): pass`;
/** Opens all flows, says something in each, hears it again, and prints how many did. */
const MANY = `
import asyncio, sys
async def one(i):
    r, w = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await all_open.wait_for_all()
    w.write(b"%d\\n" % i); await w.drain(); line = await r.readline(); w.close(); return line == b"%d\\n" % i
class Gate:
    def __init__(self, n): self.left = n; self.event = asyncio.Event()
    async def wait_for_all(self):
        self.left -= 1
        if self.left == 0: self.event.set()
        await self.event.wait()
async def main():
    global all_open; all_open = Gate(${FLOWS})
    print(sum(await asyncio.gather(*(one(i) for i in range(${FLOWS})))))
asyncio.run(main())`;

/** TCP by name, from a VM to a server on loopback. */
export async function* benchEgress(setting: Setting): AsyncGenerator<Row> {
  const rows = await withRawPort(setting, "egress", async ({ client, driver, record, toPort, fromPort }) => {
    const sink = await listen((socket) => socket.resume());
    const source = await listen((socket) => void pour(socket));
    const echo = await listen((socket) => socket.setNoDelay(true).pipe(socket));
    const wayOut = await openWayOut({ client, driver, record }, "bench.test", "*");
    try {
      const rates: Record<"out" | "in" | "rawOut" | "rawIn" | "within", number[]> = {
        ...{ out: [], in: [], rawOut: [], rawIn: [], within: [] },
      };
      const dd = `dd bs=64k status=none`;
      const count = TOTAL_MIB * 16;
      const bash = (script: string) => runInGuest(client, ["bash", "-c", script]);
      const timed = async (kind: keyof typeof rates, work: () => Promise<unknown>) => {
        const startedMs = performance.now();
        await work();
        rates[kind].push(TOTAL_MIB / ((performance.now() - startedMs) / 1000));
      };
      for (let run = 0; run < RUNS; run++) {
        await timed("rawOut", () =>
          toPort(["sh", "-c", `${dd} if=/dev/zero count=${count} of=${RAW_DEVICE}`], TOTAL_MIB * MIB),
        );
        await timed("rawIn", () =>
          fromPort(["sh", "-c", `${dd} iflag=fullblock if=${RAW_DEVICE} count=${count} of=/dev/null`], TOTAL_MIB * MIB),
        );
        await timed("within", () => runInGuest(client, ["python3", "-c", WITHIN]));
        await timed("out", () => bash(`${dd} if=/dev/zero count=${count} > /dev/tcp/bench.test/${sink.port}`));
        await timed("in", () =>
          bash(`${dd} iflag=fullblock of=/dev/null count=${count} < /dev/tcp/bench.test/${source.port}`),
        );
      }
      const ping = async (argv: string[]) => Number((await runInGuest(client, ["python3", "-c", ...argv])).tail);
      const there = [];
      const within = [];
      for (let run = 0; run < 3; run++) {
        there.push(await ping([PING, "bench.test", String(echo.port)]));
        within.push(await ping([PING_WITHIN]));
      }
      const beforeBytes = process.memoryUsage().rss;
      const opened = Number((await runInGuest(client, ["python3", "-c", MANY, "bench.test", String(echo.port)])).tail);
      const grownMib = (process.memoryUsage().rss - beforeBytes) / MIB;
      return { rates, there, within, opened, grownMib };
    } finally {
      wayOut.close();
      for (const server of [sink, source, echo]) server.close();
    }
  });
  for (const [kind, floorKind, what, floorIs] of [
    ["out", "rawOut", "a connection by name, from the VM", "a command writing to a raw virtio port of the same VM"],
    ["in", "rawIn", "a connection by name, to the VM", "a command reading from a raw virtio port of the same VM"],
  ] as const) {
    const value = round(median(rows.rates[kind]), 0);
    const floor = round(median(rows.rates[floorKind]), 0);
    yield {
      what,
      unit: "MiB/s",
      value,
      floor,
      floorIs,
      bar: `at least ${MIN_RATIO} x the floor (is ${round(value / floor, 2)} x)`,
      holds: value >= floor * MIN_RATIO,
      limit: round(floor * MIN_RATIO, 0),
      samples: rows.rates[kind].map((rate) => round(rate, 0)),
    };
  }
  const [out, loopback] = [round(median(rows.rates.out), 0), round(median(rows.rates.within), 0)];
  yield {
    what: "a connection by name, from the VM, beside its loopback",
    unit: "MiB/s",
    value: out,
    floor: loopback,
    floorIs:
      "between two programs of the VM over 127.0.0.1: TCP once, which a connection by name has on its way to the agent, and no port",
    bar: `none: it shows where the way to the raw port is lost (is ${round(out / loopback, 2)} x)`,
    holds: true,
  };
  const [value, within] = [round(median(rows.there), 2), round(median(rows.within), 2)];
  yield {
    what: "a round trip by name",
    unit: "ms",
    value,
    floor: within,
    floorIs: "the same between two sockets in the VM",
    bar: `at most ${MAX_ADDED_MS} ms more than the floor (is ${round(value - within, 2)} ms)`,
    limit: round(within + MAX_ADDED_MS, 2),
    holds: value <= within + MAX_ADDED_MS,
  };
  yield limitRow({
    what: `${FLOWS} connections at once in one VM: memory that the host holds for them`,
    unit: "MiB",
    value: rows.opened === FLOWS ? rows.grownMib : Number.NaN,
    note: `${rows.opened} of ${FLOWS} were answered`,
    limit: 256,
  });
}

async function listen(onConnection: (socket: Socket) => void) {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 2_000 });
  await new Promise((resolve) => server.once("listening", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
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
