import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type Internet, METADATA, openInternet, PRIVATE, PUBLIC, requireRoot } from "../support/internet.ts";
import { ERAS } from "../support/mcp-http.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { type OpenClient, openServers } from "../support/mcp-servers/gateway-client.ts";
import { shellOf } from "../support/mcp-servers/shell-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { waitFor } from "../support/wait-for.ts";

/** Servers with networks of their own, on a host from which every place that they are kept away from would answer. */

/** Where the test's names lead. */
const NAMES = {
  "web.test": PUBLIC,
  "other.test": PUBLIC,
  "registry.test": PUBLIC,
  "inner.test": PRIVATE,
  "meta.test": METADATA,
};
let internet: Internet;
let fixture: DaemonFixture;
let open: OpenClient;
const clients: Client[] = [];

/** Part of a server's program: what comes first of all that it does is a call home. */
function calling(): void {
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  const { appendFileSync } = process.getBuiltinModule("node:fs");
  const curl = ["-sS", "-m", "15", "http://web.test/"];
  try {
    appendFileSync("/root/starts", `reached ${execFileSync("curl", curl, { encoding: "utf8" })}\n`);
  } catch {
    appendFileSync("/root/starts", "refused\n");
  }
}

before(async () => {
  requireRoot();
  internet = await openInternet();
  fixture = await startDaemonFixture({
    within: internet.within,
    env: { npm_config_registry: "http://registry.test:81/" },
  });
  await fixture.ok("network", "setup", "--nameserver", "203.0.113.1");
  await fixture.client.servers.apply({
    source: "e2e",
    servers: [
      vmServer("listed", SHELL_PROGRAM, {
        network: { mode: "allowlist", allow: ["web.test:80", "meta.test:80", "inner.test:80"], hosts: NAMES },
      }),
      vmServer("eager", `(${calling})();${SHELL_PROGRAM}`, {
        network: { mode: "allowlist", allow: ["web.test:80"], hosts: NAMES },
      }),
      vmServer("closed", SHELL_PROGRAM),
      vmServer("public", SHELL_PROGRAM, { network: { mode: "public", hosts: NAMES } }),
      vmServer("card", SHELL_PROGRAM, { network: { mode: "nat" } }),
      vmServer("card-two", SHELL_PROGRAM, { network: { mode: "nat" } }),
    ],
  });
  // The daemon's loopback is not the test's.
  open = openServers(fixture);
});
after(async () => {
  for (const client of clients) await client.close();
  await fixture?.close();
  internet?.close();
});

const shells = new Map<string, Promise<(command: string) => Promise<string>>>();
/** Runs a command in a server's VM. */
async function sh(server: string, command: string): Promise<string> {
  const shell =
    shells.get(server) ??
    open(server, ERAS[0]?.options ?? {}, "stdio").then((client) => {
      clients.push(client);
      return shellOf(client);
    });
  shells.set(server, shell);
  return (await shell)(command);
}
/** For what is to be reached: the host may be busy. */
const PATIENT = "-m 120";
/** What a place answers to a server; empty when it does not. */
const get = (server: string, place: string, more = "") =>
  sh(server, `curl -sS -m 15 ${more} http://${place}/ 2>/dev/null || true`);
const vmOf = async (server: string) => (await fixture.client.servers.get(server)).vms[0] ?? "";
const events = async (server: string) =>
  (await fixture.json<{ events: EgressEvent[] }>("egress", "log", await vmOf(server))).events;

test("the places that servers are kept away from would answer this host", () => {
  for (const place of [PUBLIC, `${PUBLIC}:81`, PRIVATE, METADATA])
    assert.match(internet.run("curl", "-sS", "-m", "15", `http://${place}/`), / saw 203\.0\.113\.2$/, place);
});

test("a server reaches the host and port that its list has", async () => {
  assert.equal(await get("listed", "web.test", PATIENT), `${PUBLIC} saw 203.0.113.2`);
  assert.equal(await get("public", "other.test", PATIENT), `${PUBLIC} saw 203.0.113.2`);
});

test("while it is looked at for the first time a server reaches nothing, not even that", async () => {
  // In the first of the two revisions that it is asked in, and in the other.
  assert.equal(await sh("eager", "cat /root/starts"), "refused\nrefused\n");
  assert.equal(await get("eager", "web.test", PATIENT), `${PUBLIC} saw 203.0.113.2`);
});

test("and no other host, port, address, private network, metadata or registry, whatever it calls them", async () => {
  const own = await sh("listed", "hostname -I; hostname");
  for (const [place, ...more] of [
    ["web.test:81"],
    ["other.test"],
    // At run time the registry that it was installed from is a host like any other.
    ["registry.test:81"],
    [PUBLIC],
    [`${PUBLIC}:81`],
    [PRIVATE],
    [METADATA],
    ["203.0.113.2:8099"],
    ["127.0.0.1:8099"],
    ["localhost:8099"],
    // Names that its list has, and that lead to where no name may.
    ["meta.test"],
    ["inner.test"],
    // The address of a name that it may reach, under another name or port.
    ["other.test", '--connect-to "other.test:80:web.test:81"'],
    ["web.test", `--resolve web.test:80:${METADATA}`],
    ["web.test", `--resolve web.test:80:${PUBLIC}`],
    [PUBLIC, "--interface lo"],
    ["[::ffff:169.254.169.254]"],
    ["0xa9fea9fe"],
    ["2852039166"],
    ["169.254.169.254.nip.io"],
    ["web.test.", "--path-as-is --connect-to ::registry.test:81"],
  ] as [string, string?][])
    assert.equal(await get("listed", place, more.join(" ")), "", `${place} ${more.join()} from ${own}`);
  const places = ["other.test", "registry.test", "meta.test", "inner.test", METADATA, PUBLIC, PRIVATE];
  const isDenied = (all: readonly EgressEvent[], place: string) =>
    all.some(({ name, address, verdict }) => verdict === "denied" && (name ?? address) === place);
  for (const place of places) await waitFor(async () => isDenied(await events("listed"), place));
  const log = await events("listed");
  assert.deepEqual(
    [...new Set(log.filter(({ verdict }) => verdict === "allowed").map(({ name, port }) => `${name}:${port}`))],
    ["web.test:80"],
  );
});

test("package managers in a server's VM get nothing from the registry that installed it", async () => {
  for (const command of [
    "npm view left-pad --registry http://registry.test:81/ --fetch-retries 0",
    "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://registry.test:81/simple/\", timeout=15).read())'",
  ])
    assert.match(
      await sh("listed", `cd /tmp; ${command} > /tmp/out 2>&1 && echo done || echo refused`),
      /^refused$/m,
      command,
    );
  assert.doesNotMatch(await sh("listed", "cat /tmp/out"), /saw/);
});

test("a server without a network has no way to any of it, nor UDP, raw packets or tunnels", async () => {
  for (const place of ["web.test", "registry.test:81", PUBLIC, METADATA, "127.0.0.1:8099"])
    assert.equal(await get("closed", place), "", place);
  const attempts = `
import socket
def attempt(what, work):
    try: print(what, "got", work())
    except OSError as error: print(what, "refused")
def udp(place):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.sendto(b"x", place); return s.recv(10)
def raw():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(5)
    s.sendto(bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0]), ("${PUBLIC}", 0))
    while True:
        packet, place = s.recvfrom(100)
        if place[0] == "${PUBLIC}" and packet[20] == 0: return packet
def vsock(cid, port):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); s.settimeout(5); s.connect((cid, port)); return "a connection"
attempt("udp", lambda: udp(("${PUBLIC}", 53)))
attempt("icmp", raw)
for cid in (0, 1, 2, 3, 4): attempt("vsock", lambda: vsock(cid, 1024))
`;
  for (const server of ["closed", "listed"]) {
    const said = await sh(server, `cat > /tmp/a.py <<'PY'\n${attempts}\nPY\npython3 /tmp/a.py`);
    assert.doesNotMatch(said, /got/, server);
    assert.equal(said.match(/refused/g)?.length, 7, said);
  }
});

test("a server with a public network reaches nothing that is not public", async () => {
  for (const place of ["inner.test", "meta.test", "localhost:8099", "127.0.0.1:8099", PRIVATE, METADATA])
    assert.equal(await get("public", place), "", place);
});

test("another server's VM is out of reach, by its name and by every address that it has, also for those with network cards", async () => {
  const servers = ["listed", "closed", "public", "card", "card-two"];
  const listen =
    "python3 -m http.server 7000 --bind 0.0.0.0 >/dev/null 2>&1 & curl -sS --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:7000/ | head -c 9";
  // Each listens, and reaches itself.
  for (const server of servers) assert.equal(await sh(server, `cd /tmp; ${listen}`), "<!DOCTYPE", server);
  const { vms } = await fixture.json<{ vms: { vm: string; address: string }[] }>("network", "status");
  const cards = vms.map(({ address }) => address);
  assert.equal(cards.length, 2);
  const own = new Map<string, string>();
  for (const server of servers) own.set(server, (await sh(server, "hostname -I")).trim());
  // With a card and without one, to one with a card and to one without.
  for (const server of ["listed", "closed", "card"])
    for (const other of ["listed", "card-two"].filter((each) => each !== server)) {
      const addresses = [...(own.get(other) ?? "").split(" "), `mcp-${other}`, other, `${other}.local`];
      for (const address of addresses.filter((each) => each !== "" && !own.get(server)?.split(" ").includes(each)))
        assert.equal(
          await get(server, `${address}:7000`, "--connect-timeout 4"),
          "",
          `${server} to ${other} at ${address}`,
        );
    }
  // Those with cards are on one bridge, and may go out.
  assert.equal(await get("card", PUBLIC, PATIENT), `${PUBLIC} saw 203.0.113.2`);
  for (const place of [PRIVATE, METADATA, "203.0.113.2:8099"])
    assert.equal(await get("card", place, "--connect-timeout 4"), "", place);
});
