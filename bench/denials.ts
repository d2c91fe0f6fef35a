import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest, withGuest } from "./guest.ts";
import { limitRow, percentile, type Row, round } from "./stats.ts";
import { openWayOut } from "./way-out.ts";

const NAME = "bench.test";
const ALLOWED_PORT = 9;
const MAX_MS = 50;
const TRIES = 200;

/** What a program in the guest does; it raises an OSError when it is refused, and the bench fails when it does not. */
const REFUSED = [
  // A name of its own each time: nothing between the program and the host may know it.
  ["a name that no rule allows, asked of the name server", `socket.getaddrinfo("n%d.denied.test" % i, 80)`],
  [
    "another port of a name that is allowed",
    `s = socket.create_connection(("${NAME}", ${ALLOWED_PORT + 1}), 20); s.sendall(b"x"); s.recv(1) or closed()`,
  ],
  ["an address without a name, TCP", `socket.create_connection(("192.0.2.%d" % (i % 250 + 1), 443), 20)`],
  [
    "an address without a name, UDP",
    `s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(20); s.connect(("192.0.2.%d" % (i % 250 + 1), 53)); s.send(b"x"); s.recv(1)`,
  ],
] as const;

/** Prints how long each try took until the program knew, ms. */
const timed = (work: string) => `
import socket, time
def closed(): raise ConnectionResetError("closed")
def tried(i):
    t = time.perf_counter()
    try:
        ${work}
    except TimeoutError: raise
    except OSError: return (time.perf_counter() - t) * 1000
    raise SystemExit("it was let out")
for i in range(20): tried(i)
print(*("%.2f" % tried(20 + i) for i in range(${TRIES})))`;

/** How soon a program in a VM knows that the policy refuses it. */
export async function* benchDenials(setting: Setting): AsyncGenerator<Row> {
  const { driver } = setting;
  const measured = await withGuest(setting, await setting.makeConfig("denials"), async (client, record) => {
    const wayOut = await openWayOut({ client, driver, record }, NAME, String(ALLOWED_PORT));
    try {
      const all: { what: string; samples: number[] }[] = [];
      for (const [what, work] of REFUSED) {
        const { tail } = await runInGuest(client, ["python3", "-c", timed(work)]);
        all.push({ what, samples: tail.trim().split(" ").map(Number) });
      }
      return all;
    } finally {
      wayOut.close();
    }
  });
  for (const { what, samples } of measured)
    yield limitRow({
      what: `a refusal, as a program in the VM sees it: ${what}`,
      unit: "ms",
      value: samples.length === TRIES ? percentile(samples, 0.99) : Number.NaN,
      note: `p99 of ${samples.length}; p50 ${round(percentile(samples, 0.5), 1)} ms`,
      limit: MAX_MS,
      digits: 1,
      samples,
    });
}
