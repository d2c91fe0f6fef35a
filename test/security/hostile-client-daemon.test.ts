import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { after, before, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { waitFor } from "../support/wait-for.ts";

/** A client of the daemon's that means no good, at the endpoint of a server in a VM, beside one that behaves. */

const MIB = 1024 * 1024;
const SESSIONS = 10_000;
/** Of the daemon, while and after it is flooded. */
const MOST_GROWTH_BYTES = 250 * MIB;

let fixture: DaemonFixture;
let healthy: Client;
let url: URL;
let key: string;
let atFirst: number;

before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.servers.apply({ source: "e2e", servers: [vmServer("far", fixtureProgram("legacy"))] });
  const open = await serveGateway(fixture, "healthy");
  healthy = await open("far", ERAS[0]?.options ?? {});
  ({ key } = await fixture.json<{ key: string }>("key", "create", "hostile"));
  url = new URL("/servers/far/mcp", String((await fixture.client.status()).listen?.url));
  await callText(healthy, "count");
  atFirst = await rss();
});
after(async () => {
  await healthy?.close();
  await fixture?.close();
});

const proc = async (name: string) => `/proc/${(await fixture.client.status()).pid}/${name}`;
async function rss(): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(await proc("status"), "utf8"))?.[1]) * 1024;
}
const descriptors = async () => (await readdir(await proc("fd"))).length;

/** The other client's session goes on, in the VM that it was in, and the daemon stays in bounds. */
async function requireHealthy(): Promise<void> {
  const count = Number(await callText(healthy, "count"));
  assert.equal(Number(await callText(healthy, "count")), count + 1);
  const growth = (await rss()) - atFirst;
  assert.ok(growth < MOST_GROWTH_BYTES, `the daemon has grown by ${Math.round(growth / MIB)} MiB`);
}

const headersOf = () => ({
  authorization: `Bearer ${key}`,
  accept: "application/json, text/event-stream",
  "content-type": "application/json",
});
/** The status of the answer; 413 when the connection is closed while the body is sent. */
async function post(body: string, headers: Record<string, string> = {}): Promise<number> {
  try {
    const response = await fetch(url, { method: "POST", headers: { ...headersOf(), ...headers }, body });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 413;
  }
}
const initialize = (id: number) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "hostile", version: "1" } },
  });

test("bodies of 10 MiB, many at once, are refused before they are held", async () => {
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"a":"${"x".repeat(10 * MIB)}"}}}`;
  for (let round = 0; round < 4; round++)
    for (const status of await Promise.all(Array.from({ length: 16 }, () => post(body)))) assert.equal(status, 413);
  await requireHealthy();
});

test("ten thousand sessions of one client take no other's, and cost a bounded part of memory", async () => {
  const statuses = new Map<number, number>();
  for (let id = 0; id < SESSIONS; id += 50)
    for (const status of await Promise.all(Array.from({ length: 50 }, (_, index) => post(initialize(id + index)))))
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
  for (const status of statuses.keys()) assert.ok([200, 429, 503].includes(status), JSON.stringify([...statuses]));
  await requireHealthy();
  assert.equal((await fixture.client.servers.get("far")).vms.length, 1);
});

/** A request whose body never comes, or comes byte by byte. */
async function openSlow(sent: string): Promise<Socket> {
  const socket = net.connect(Number(url.port), url.hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  const head = Object.entries(headersOf()).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-length: 1000\r\n${head.join("")}\r\n${sent}`,
  );
  return socket;
}

test("bodies that do not come keep no other client waiting, and are given up", async () => {
  const before = await descriptors();
  const slow = await Promise.all(Array.from({ length: 300 }, () => openSlow('{"jsonrpc":')));
  const dripping = setInterval(() => {
    for (const socket of slow.slice(0, 50)) socket.write(" ");
  }, 500);
  await requireHealthy();
  clearInterval(dripping);
  for (const socket of slow) socket.destroy();
  await waitFor(async () => (await descriptors()) <= before + 20);
  await requireHealthy();
});

test("clients that hang up in a call, or take nothing of its answer, leave nothing", async () => {
  const before = await descriptors();
  for (let round = 0; round < 100; round++) {
    const socket = await openSlow("");
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
    socket.write(body.padEnd(1000));
    socket.pause();
    if (round % 2 === 0) socket.destroy();
    else setTimeout(() => socket.destroy(), 200);
  }
  await waitFor(async () => (await descriptors()) <= before + 20);
  await requireHealthy();
});
