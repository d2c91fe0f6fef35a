import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session } from "node:http2";
import net, { type AddressInfo, type Socket } from "node:net";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { EgressLink } from "../../src/guest/egress-link.ts";
import { Dialer } from "../../src/network/dial.ts";
import { EgressLog } from "../../src/network/egress-log.ts";
import { VmEgress } from "../../src/network/vm-egress.ts";
import { compile, openUpstream } from "../support/egress-pair.ts";
import { attachInOrder } from "../support/hostile-guest.ts";
import { keptBytes } from "../support/kept-memory.ts";

const STREAMS = 100_000;
const AT_ONCE = 2_000;
/** Of both ends, which are in this process: 1 KiB kept of each stream would be more. */
const MOST_GROWTH_BYTES = 64 * 1024 * 1024;

/** The host's end of a guest's egress port, and a guest of the test's own at the other: attached again whenever the host gives it up. */
async function openGuest(name: string, ...ports: number[]) {
  const kept: EgressEvent[] = [];
  const store = {
    write: (events: readonly EgressEvent[]) => void kept.push(...events),
    list: () => [],
    lastId: () => 0,
  };
  const log = new EgressLog(store, () => {});
  const allow = [{ host: "echo.test", ports: ports.join(","), private: true }];
  const egress = new VmEgress({
    vm: { id: name, name },
    policy: compile({ mode: "allowlist", allow, hosts: { "echo.test": "127.0.0.1" } }),
    dialer: new Dialer({ env: {} }),
    log,
    onUse: () => {},
  });
  const sessions: ClientHttp2Session[] = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    attachInOrder(socket, (attached) => {
      const session = http2.connect("http://host", { createConnection: () => attached });
      session.on("error", () => {});
      sessions.push(session);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = new EgressLink({
    open: async () => {
      const socket: Socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
    attachDeadlineMs: 10_000,
    onStream: (stream, headers) => egress.handle(stream, headers),
    onFailure: () => {},
  });
  await link.attached;
  const session = async (): Promise<ClientHttp2Session> => {
    for (;;) {
      const current = sessions.at(-1);
      if (current !== undefined && !current.closed && !current.destroyed) return current;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const close = () => {
    link.close();
    for (const each of sessions) each.destroy();
    server.close();
    log.close();
  };
  return { egress, log, kept, sessions, session, close };
}

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

test("a guest that opens 100,000 streams over its port harms no other's flow, and costs neither memory nor events without end", async () => {
  const echo = await openUpstream((socket) => socket.pipe(socket));
  const fresh = await openUpstream((socket) => socket.pipe(socket));
  const hostile = await openGuest("hostile", echo.port, fresh.port);
  const healthy = await openGuest("healthy", echo.port);
  closers.push(hostile.close, healthy.close, echo.close, fresh.close);
  const flow = (await healthy.session()).request({ ":method": "CONNECT", ":authority": `echo.test:${echo.port}` });
  await once(flow, "response");
  const answers = async () => {
    flow.write("line\n");
    assert.equal(String((await once(flow, "data"))[0]), "line\n");
  };
  await answers();
  const before = keptBytes();
  let open = 0;
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  for (let made = 0; made < STREAMS; made++) {
    const session = await hostile.session();
    // In turn: what is denied, what is allowed, a question for a name, and what is nothing.
    const headers = [
      { ":method": "CONNECT", ":authority": `echo.test:${1 + (made % 1_000)}` },
      { ":method": "CONNECT", ":authority": `echo.test:${echo.port}` },
      { ":path": `/v1/names/n${made}.denied.test` },
      { ":path": `/${"x".repeat(2_000)}` },
    ][made % 4];
    const stream = session.request(headers);
    open++;
    stream.on("error", () => {}).once("close", () => void open--);
    stream.once("response", ({ ":status": status }) => {
      count(`${made % 4} ${status}`);
      stream.destroy();
    });
    while (open >= AT_ONCE) await turn();
    if (made % 5_000 === 0) await answers();
  }
  while (open > 0) await turn();
  await answers();
  const growth = keptBytes() - before;
  assert.ok(growth < MOST_GROWTH_BYTES, `${Math.round(growth / 1024 ** 2)} MiB more`);
  // What is refused says so. A guest that resets more than any program would loses its connection, and has another at once.
  const text = JSON.stringify([...seen]);
  // 502: for a while this host has no ports left for so many connections to one place.
  const kinds = [...seen.keys()].filter((each) => each !== "1 502").sort();
  assert.deepEqual(kinds, ["0 403", "1 200", "2 403", "3 404"], text);
  for (const kind of kinds) assert.ok((seen.get(kind) ?? 0) > STREAMS / 100, text);
  assert.ok(hostile.sessions.length < STREAMS / 1_000, `${hostile.sessions.length} connections`);
  assert.equal(healthy.sessions.length, 1);
  hostile.log.flush();
  // Of 200 a second at most; all are counted.
  assert.ok(hostile.kept.length < hostile.log.totals.denied, `${hostile.kept.length} events are kept`);
  // It goes on being served.
  const again = (await hostile.session()).request({ ":method": "CONNECT", ":authority": `echo.test:${fresh.port}` });
  const [{ ":status": status }] = (await once(again, "response")) as [http2.IncomingHttpHeaders];
  assert.equal(status, 200);
  again.destroy();
});
