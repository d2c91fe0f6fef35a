import assert from "node:assert/strict";
import { mkdtemp, open as openFile, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import type { VmServer } from "../../src/contract/server.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { shellOf } from "../support/mcp-servers/shell-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";
import { waitFor } from "../support/wait-for.ts";

/** Secrets, memory and the host itself, before a server that knows all that the other one knows. */

const VALUES = {
  one: "ghp_one-Value-4711-abcdefghij",
  two: "ghp_two-Value-4712-abcdefghij",
  env: "env-Value-4713-abcdefghij",
};
const MARKERS = { one: "memory-of-server-one", two: "memory-of-server-two" };

let folder: string;
let fixture: DaemonFixture;
const upstreams: Record<string, Awaited<ReturnType<typeof openTlsUpstream>>> = {};
const clients: Client[] = [];
const placeholders: Record<string, string> = {};
let one: (command: string) => Promise<string>;
let two: (command: string) => Promise<string>;

before(async () => {
  for (const name of ["api.test", "other.test", "two.test"]) upstreams[name] = await openTlsUpstream(name);
  folder = await mkdtemp(path.join(os.tmpdir(), "fb-authority-"));
  const caFile = path.join(folder, "ca.pem");
  await writeFile(caFile, await hostAuthority.certificate());
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  const set = async (name: string, value: string, ...more: string[]) => {
    const { exitCode, stderr } = await fixture.cli(["secret", "set", name, ...more], { input: value });
    assert.equal(exitCode, 0, stderr);
    placeholders[name] = (await fixture.json<{ placeholder: string }>("secret", "get", name)).placeholder;
  };
  await set("TOKEN_ONE", VALUES.one, "--host", host("api.test"));
  await set("TOKEN_TWO", VALUES.two, "--host", host("two.test"));
  await set("HANDED", VALUES.env, "--expose", "env");
  const reach = (...names: string[]): VmServer["network"] => ({
    mode: "allowlist",
    allow: names.map((name) => ({ host: name, ports: String(upstreams[name]?.port), private: true })),
    hosts: Object.fromEntries(names.map((name) => [name, "127.0.0.1"])),
  });
  await fixture.client.servers.apply({
    source: "e2e",
    servers: [
      // It may reach the host of the other one's secret, too.
      vmServer("one", SHELL_PROGRAM, {
        network: reach("api.test", "other.test", "two.test"),
        secrets: [{ name: "TOKEN_ONE" }],
        limits: { callTimeoutMs: 90_000 },
      }),
      vmServer("two", SHELL_PROGRAM, {
        network: reach("two.test"),
        secrets: [{ name: "TOKEN_TWO" }, { name: "HANDED", expose: "env" }],
        memoryMib: 320,
      }),
    ],
  });
  const open = await serveGateway(fixture);
  for (const server of ["one", "two"]) clients.push(await open(server, ERAS[0]?.options ?? {}));
  [one, two] = clients.map(shellOf) as [typeof one, typeof two];
});
after(async () => {
  for (const client of clients) await client.close();
  for (const upstream of Object.values(upstreams)) upstream.close();
  await fixture?.close();
  await rm(folder, { recursive: true, force: true });
});

const host = (name: string) => `${name}:${upstreams[name]?.port}`;
/** What a host got as authorization when a server sent it a word. Connections that carry no secret of the server's are opened by nobody on their way. */
async function send(shell: typeof one, name: string, token: string): Promise<string | undefined> {
  const before = upstreams[name]?.received.length ?? 0;
  await shell(`curl -ksS -m 60 -H "Authorization: Bearer ${token}" https://${host(name)}/ || true`);
  return upstreams[name]?.received.slice(before).at(-1)?.headers.authorization;
}

test("each server has its own secret's placeholder, with which the value arrives at that secret's host alone", async () => {
  assert.equal(await one("echo $TOKEN_ONE $TOKEN_TWO $HANDED"), `${placeholders.TOKEN_ONE}\n`);
  assert.equal(await two("echo $TOKEN_ONE $TOKEN_TWO $HANDED"), `${placeholders.TOKEN_TWO} ${VALUES.env}\n`);
  assert.equal(await send(one, "api.test", "$TOKEN_ONE"), `Bearer ${VALUES.one}`);
  assert.equal(await send(two, "two.test", "$TOKEN_TWO"), `Bearer ${VALUES.two}`);
  // At another host that it may reach, it stays what it is.
  assert.equal(await send(one, "other.test", "$TOKEN_ONE"), `Bearer ${placeholders.TOKEN_ONE}`);
  assert.equal(await send(one, "two.test", "$TOKEN_ONE"), `Bearer ${placeholders.TOKEN_ONE}`);
});

test("another server's placeholder is of no use to one that has learnt it, at any host, by any name", async () => {
  for (const name of ["TOKEN_TWO", "HANDED"])
    for (const target of ["two.test", "api.test", "other.test"])
      assert.equal(
        await send(one, target, String(placeholders[name])),
        `Bearer ${placeholders[name]}`,
        `${name} at ${target}`,
      );
  // Its own host, to which it says that it is the other's.
  const port = String(upstreams["two.test"]?.port);
  const before = upstreams["two.test"]?.received.length ?? 0;
  await one(
    `curl -ksS -m 60 -H "Host: api.test" -H "Authorization: Bearer $TOKEN_ONE" https://two.test:${port}/ || true
     printf 'GET / HTTP/1.1\\r\\nHost: two.test\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n' "$TOKEN_ONE" | openssl s_client -quiet -connect two.test:${port} -servername api.test 2>/dev/null || true`,
  );
  for (const { headers } of upstreams["two.test"]?.received.slice(before) ?? [])
    assert.doesNotMatch(String(headers.authorization), new RegExp(Object.values(VALUES).join("|")));
});

test("nothing of another server's, and no value of its own, is in a server's environment, processes or files", async () => {
  const seen = await one(
    `env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; cat /run/firebreak/* 2>/dev/null; grep -rs -e Value-471 -e TOKEN_TWO /etc /root /run /srv /opt /tmp /var || true`,
  );
  assert.ok(seen.includes(String(placeholders.TOKEN_ONE)), "its own placeholder is found where the search looks");
  for (const word of [...Object.values(VALUES), String(placeholders.TOKEN_TWO), "TOKEN_TWO", "HANDED"])
    assert.ok(!seen.replaceAll("-e TOKEN_TWO", "").includes(word), word);
});

/** Whether a process's memory holds the text; read piece by piece. */
async function holds(pid: number, text: string): Promise<boolean> {
  const wanted = Buffer.from(text);
  const memory = await openFile(`/proc/${pid}/mem`, "r");
  const piece = Buffer.alloc(4 * 1024 * 1024);
  try {
    for (const line of (await readFile(`/proc/${pid}/maps`, "utf8")).split("\n")) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      for (let at = Number.parseInt(from, 16); at < Number.parseInt(to, 16); at += piece.length - wanted.length) {
        const length = Math.min(piece.length, Number.parseInt(to, 16) - at);
        // Some of it cannot be read, such as what the kernel maps itself.
        const { bytesRead } = await memory.read(piece, 0, length, at).catch(() => ({ bytesRead: 0 }));
        if (piece.subarray(0, bytesRead).includes(wanted)) return true;
      }
    }
    return false;
  } finally {
    await memory.close();
  }
}
async function vmmOf(server: string): Promise<number> {
  const [name = ""] = (await fixture.client.servers.get(server)).vms;
  const { id } = await fixture.client.vms.get(name);
  const found = (await listProcesses(fixture.folder)).find(
    ({ command }) => /^\S*qemu-system/.test(command) && command.includes(id),
  );
  assert.ok(found !== undefined, `${name} has a VMM`);
  return found.pid;
}

test("memory and processes are each server's own: the machine of one holds nothing of the other's", async () => {
  for (const [shell, marker] of [
    [one, MARKERS.one],
    [two, MARKERS.two],
  ] as const)
    await shell(`python3 -c 'import time; held = "${marker}" * 100; time.sleep(3600)' >/dev/null 2>&1 &`);
  const processes = await one("cat /proc/*/cmdline | tr '\\0' ' '");
  assert.ok(processes.includes(MARKERS.one) && !processes.includes(MARKERS.two), processes);
  const identity = "cat /proc/sys/kernel/random/boot_id /etc/machine-id; grep MemTotal /proc/meminfo";
  const [ofOne, ofTwo] = [await one(identity), await two(identity)];
  for (const line of ofOne.trim().split("\n")) assert.ok(!ofTwo.includes(line), line);
  const [vmmOfOne, vmmOfTwo] = [await vmmOf("one"), await vmmOf("two")];
  for (const [vmm, word] of [
    [vmmOfOne, MARKERS.one],
    [vmmOfOne, String(placeholders.TOKEN_ONE)],
    [vmmOfTwo, MARKERS.two],
    [vmmOfTwo, VALUES.env],
  ] as const)
    assert.ok(await holds(vmm, word), `${word} is found where it is`);
  for (const word of [MARKERS.two, ...Object.values(VALUES)]) assert.ok(!(await holds(vmmOfOne, word)), word);
  for (const word of [MARKERS.one, VALUES.one, VALUES.two]) assert.ok(!(await holds(vmmOfTwo, word)), word);
});

/** Has server one answer again: by itself, or since somebody ends its machine. */
async function recover(): Promise<void> {
  const answers = () => one("echo here").catch((error: Error) => error.message);
  if ((await answers()) !== "here\n") await fixture.client.servers.stop("one");
  await waitFor(async () => (await answers()) === "here\n", 300_000);
}

test("a server that takes all memory and all processes that it can get has them from its own machine", async () => {
  const total = async (shell: typeof one) => Number(/MemTotal: +(\d+)/.exec(await shell("cat /proc/meminfo"))?.[1]);
  assert.ok((await total(one)) < 256 * 1024 && (await total(two)) > 256 * 1024);
  for (const greed of [
    `python3 -c 'held = []
while True: held.append(bytearray(b"x" * 16777216))'`,
    "sh -c 'while :; do sleep 1000 & done'",
    "head -c 100000000000 /dev/zero > /tmp/full",
  ]) {
    const greedy = one(`timeout -s KILL 20 ${greed} >/dev/null 2>&1 || true`).catch((error: Error) => error.message);
    assert.equal(await two("echo here"), "here\n");
    const said = await greedy;
    if (said !== "") assert.match(said, /the server 'one'/, greed);
    assert.equal(await two("echo here"), "here\n");
    await recover();
  }
});

test("neither the daemon's socket nor its port is anywhere in a server's VM", async () => {
  const { listen } = await fixture.client.status();
  const { port } = new URL(String(listen?.url));
  for (const shell of [one, two]) {
    const found = await shell(
      "find / -xdev -name daemon.sock; find / -xdev -name 'fb-*' -path '*tmp*'; ss -xl 2>/dev/null | grep daemon || true",
    );
    assert.equal(found, "");
    assert.match(await shell(`ls ${fixture.paths.socket} 2>&1 || true`), /No such file/);
    for (const place of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `[::1]:${port}`,
      `10.0.2.2:${port}`,
      `api.test:${port}`,
    ])
      assert.match(
        await shell(`curl -sS -m 20 -o /tmp/got http://${place}/v1/status 2>&1 && echo reached || echo refused`),
        /refused\n$/,
        place,
      );
  }
});

test("what a server does to its agent and to the port between it and the host is its own machine's loss alone", async () => {
  const before = (await fixture.client.status()).pid;
  assert.match(
    await one("for port in /dev/vport*; do (exec 3<>$port) 2>&1 && echo opened $port; done; true"),
    /vport.*Device or resource busy/,
  );
  for (const attack of [
    // A line of the protocol's beginning, with nonces of nobody's, and then noise.
    `for fd in /proc/1/fd/*; do (printf '\\nfirebreak-agent 1 ${"0".repeat(32)}\\nattached ${"0".repeat(32)}\\n'; head -c 200000 /dev/urandom) > $fd; done`,
    "for port in /dev/vport*; do head -c 200000 /dev/urandom > $port; timeout 2 cat $port; done",
    "kill -9 1; kill -STOP 1; kill -TERM 1; python3 -c 'import ctypes; print(ctypes.CDLL(None).ptrace(16, 1, 0, 0))'",
    "head -c 300000 /dev/urandom > /dev/console; head -c 300000 /dev/urandom > /dev/kmsg",
    "umount -l /proc; umount -l /dev; umount -l /run; rm -rf /run/firebreak",
    "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger",
  ]) {
    // It may end its own machine, and is told of by name then.
    const said = await one(`(${attack}) >/dev/null 2>&1 || true`).catch((error: Error) => error.message);
    if (said !== "") assert.match(said, /the server 'one'/, attack);
    assert.equal(await two("echo here"), "here\n", attack);
    await recover();
  }
  assert.equal((await fixture.client.status()).pid, before);
  assert.equal((await fixture.client.servers.get("two")).state, "running");
});
