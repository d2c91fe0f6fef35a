import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { NatStatus } from "../../src/contract/nat.ts";
import type { ProbeResult } from "../../src/contract/probe.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type Internet, METADATA, openInternet, PRIVATE, PUBLIC, requireRoot } from "../support/internet.ts";
import { openRepository } from "../support/package-repository.ts";
import { waitFor } from "../support/wait-for.ts";

/** Network cards, on a host and an Internet of the test's own. */

let internet: Internet;
let fixture: DaemonFixture;
/** Programs that the daemon finds before those of the host. */
let tools: string;

before(async () => {
  requireRoot();
  internet = await openInternet();
  tools = await mkdtemp(path.join(os.tmpdir(), "fb-tools-"));
  const env = { PATH: `${tools}:${process.env.PATH}` };
  fixture = await startDaemonFixture({ within: internet.within, env });
});
after(async () => {
  await fixture?.close();
  internet?.close();
  await rm(tools, { recursive: true });
});

const get = (vm: string, url: string) =>
  fixture.cli(["vm", "exec", vm, "--", "curl", "-sS", "-m", "5", url]).then(({ stdout }) => stdout);
const status = () => fixture.json<NatStatus>("network", "status");

test("without the host's set-up there is no card, and the error says how there is one", async () => {
  const { exitCode, stderr } = await fixture.cli(["vm", "create", "early", "--network", "nat"]);
  assert.equal(exitCode, 4);
  assert.match(stderr, /NETWORK_NOT_SET_UP[\s\S]*firebreak network setup/);
  assert.equal((await fixture.client.vms.list()).length, 0);
});

test("a VM with a card reaches public addresses by packets of any kind, and sends them as its host", async () => {
  await fixture.ok("network", "setup", "--nameserver", "203.0.113.1");
  await fixture.ok("vm", "create", "open", "--network", "nat");
  assert.equal(await get("open", `http://${PUBLIC}/`), `${PUBLIC} saw 203.0.113.2`);
  const { network } = await fixture.client.vms.stats("open");
  assert.ok(network !== undefined && network.receivedBytes > 200 && network.sentBytes > 200, JSON.stringify(network));
  await fixture.ok("vm", "cp", "/bin/busybox", "open:/usr/local/bin/busybox");
  const { stdout } = await fixture.ok("vm", "exec", "open", "--", "busybox", "ping", "-c", "4", PUBLIC);
  assert.match(stdout, /4 packets transmitted, 4 packets received/);
  assert.equal(
    (await fixture.ok("vm", "exec", "open", "--", "cat", "/etc/resolv.conf")).stdout,
    "nameserver 203.0.113.1\n",
  );
  assert.equal((await fixture.ok("vm", "exec", "open", "--", "cat", "/sys/class/net/eth0/carrier")).stdout, "1\n");
});

test("packages are installed from a repository beyond", async () => {
  const repository = await openRepository(internet.beyond, PUBLIC, 8_070);
  try {
    const lines = `deb [trusted=yes] http://${PUBLIC}:8070 ./\n`;
    const list = "/etc/apt/firebreak.list";
    const options = `-o Dir::Etc::sourcelist=${list} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0`;
    const install = `printf '%s' '${lines}' > ${list} && apt-get ${options} update && DEBIAN_FRONTEND=noninteractive apt-get ${options} install -y ${repository.name}`;
    const done = await fixture.cli(["vm", "exec", "open", "--", "bash", "-c", install]);
    assert.equal(done.exitCode, 0, done.stdout + done.stderr);
    assert.equal((await fixture.ok("vm", "exec", "open", "--", repository.name)).stdout, `${repository.says}\n`);
    // For one that may not go there it is as if there were none.
    await fixture.ok("vm", "create", "kept", "--network", "nat", "--allow", `${PRIVATE}:80`);
    const kept = await fixture.cli(["vm", "exec", "kept", "--", "bash", "-c", install]);
    assert.notEqual(kept.exitCode, 0);
    await fixture.ok("vm", "delete", "kept");
  } finally {
    await repository.close();
  }
});

test("another name server is told to VMs that run; one that cannot be put in force is nobody's", async () => {
  const resolvers = async () => (await fixture.ok("vm", "exec", "open", "--", "cat", "/etc/resolv.conf")).stdout;
  await fixture.ok("network", "setup", "--nameserver", "203.0.113.7");
  assert.equal(await resolvers(), "nameserver 203.0.113.7\n");
  await writeFile(path.join(tools, "nft"), "#!/bin/sh\necho no rules today >&2\nexit 1\n", { mode: 0o755 });
  const { exitCode, stderr } = await fixture.cli(["network", "setup", "--nameserver", "203.0.113.8"]);
  await rm(path.join(tools, "nft"));
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /NETWORK_SETUP_FAILED/);
  assert.deepEqual((await status()).nameservers, ["203.0.113.7"]);
  assert.equal(await resolvers(), "nameserver 203.0.113.7\n");
  await fixture.ok("network", "setup", "--nameserver", "203.0.113.1");
  assert.equal(await resolvers(), "nameserver 203.0.113.1\n");
});

test("private networks, metadata, this host and other VMs are closed to it", async () => {
  await fixture.ok("vm", "create", "other", "--network", "nat");
  const { vms, gateway } = await status();
  const other = vms.find(({ vm }) => vm === "other")?.address;
  await fixture.ok("vm", "exec", "other", "--", "sh", "-c", "python3 -m http.server 80 >/dev/null 2>&1 &");
  for (const place of [PRIVATE, METADATA, `${gateway}:8099`, "203.0.113.2:8099", `${other}:80`])
    assert.equal(await get("open", `http://${place}/`), "", place);
});

test("a VM that sends as another, or listens to what is not its own, gets nothing", async () => {
  const { vms } = await status();
  const other = vms.find(({ vm }) => vm === "other")?.address as string;
  await fixture.ok("vm", "create", "thief", "--network", "nat", "--allow", "192.0.2.1:9");
  // It takes the address of one that may go out, and says everywhere that it has it.
  const script = `ip addr flush dev eth0; ip addr add ${other}/16 dev eth0; ip route add default via 10.201.0.1; curl -sS -m 4 http://${PUBLIC}/`;
  assert.equal((await fixture.cli(["vm", "exec", "thief", "--", "sh", "-c", script])).stdout, "");
  assert.equal(await get("other", `http://${PUBLIC}/`), `${PUBLIC} saw 203.0.113.2`);
  await fixture.ok("vm", "delete", "thief");
});

/** The addresses whose places this host knows, and how it came to know those that nobody entered. */
function neighbours(): string[] {
  const listed = JSON.parse(internet.run("ip", "-j", "neigh", "show", "dev", "fbbr0")) as {
    dst: string;
    state: string[];
  }[];
  return listed.map(({ dst, state }) => (state[0] === "PERMANENT" ? dst : `${dst} ${state[0]}`)).sort();
}

/** Sends ARP requests from the card: whose address each is asked with, and for. Prints the addresses that answer. */
const ARP = `
import json, socket, struct, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806))
card.bind(("eth0", 0))
card.settimeout(2)
mac = card.getsockname()[4]
for sender, asked in json.loads(sys.argv[1]):
    head = b"\\xff" * 6 + mac + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1)
    card.send(head + mac + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(asked))
heard = set()
try:
    while True: heard.add(socket.inet_ntoa(card.recv(100)[28:32]))
except TimeoutError:
    print(*sorted(heard))
`;

test("ARP finds the gateway alone, and fills no table of this host's", async () => {
  const { gateway = "", vms } = await status();
  const own = vms.find(({ vm }) => vm === "open")?.address as string;
  const ask = (questions: [string, string][]) =>
    fixture.ok("vm", "exec", "open", "--", "python3", "-c", ARP, JSON.stringify(questions));
  const asked = await ask([gateway, "203.0.113.2", PUBLIC].map((address) => [own, address]));
  assert.equal(asked.stdout.trim(), gateway);
  await ask(["203.0.113.1", "10.201.7.7"].map((sender) => [sender, gateway]));
  assert.deepEqual(neighbours(), vms.map(({ address }) => address).sort());
});

test("rules are of addresses and ports, deny before allow, and change as the VM runs", async () => {
  await fixture.ok(
    "vm",
    "create",
    "narrow",
    "--network",
    "nat",
    "--allow",
    `${PUBLIC}:80`,
    "--allow",
    "10.9.0.0/16:81",
  );
  assert.match(await get("narrow", `http://${PUBLIC}/`), /saw/);
  assert.match(await get("narrow", `http://${PRIVATE}:81/`), /saw/);
  for (const place of [`${PUBLIC}:81`, PRIVATE, "203.0.113.1"])
    assert.equal(await get("narrow", `http://${place}/`), "");
  await fixture.ok("vm", "policy", "set", "narrow", "--network", "nat", "--deny", `${PUBLIC}:80`);
  assert.equal(await get("narrow", `http://${PUBLIC}/`), "");
  assert.match(await get("narrow", `http://${PUBLIC}:81/`), /saw/);
  for (const [args, code] of [
    [["--network", "nat", "--allow", "api.github.com"], "POLICY_INVALID"],
    [["--network", "nat", "--allow", `${PUBLIC}:80`, "--deny", "198.51.100.0/24"], "POLICY_INVALID"],
    [["--allow", "web.test:80"], "VM_STATE_CONFLICT"],
  ] as const) {
    const { exitCode, stderr } = await fixture.cli(["vm", "policy", "set", "narrow", ...args]);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, new RegExp(code));
  }
  await fixture.ok("vm", "delete", "narrow");
});

test("name servers are open by themselves, and closed by a rule or to all", async () => {
  // What is asked of it is a connection: nobody listens there, and the refusal is of its host or of the rules.
  const ask = async (vm: string) => {
    const script = "import socket; print(socket.socket().connect_ex(('203.0.113.1', 53)))";
    return (await fixture.ok("vm", "exec", vm, "--", "python3", "-c", script)).stdout.trim();
  };
  const [REFUSED, CLOSED] = ["111", "113"]; // ECONNREFUSED, EHOSTUNREACH
  await fixture.ok("vm", "create", "names", "--network", "nat", "--allow", `${PUBLIC}:80`);
  assert.equal(await ask("names"), REFUSED);
  const rules = ["--allow", `${PUBLIC}:80`, "--deny", "203.0.113.1:53"];
  await fixture.ok("vm", "policy", "set", "names", "--network", "nat", ...rules);
  assert.equal(await ask("names"), CLOSED);
  await fixture.ok("vm", "policy", "set", "names", "--network", "nat", ...rules.slice(0, 2));
  assert.equal(await ask("names"), REFUSED);
  await fixture.ok("network", "setup", "--nameserver", "none");
  assert.deepEqual((await status()).nameservers, []);
  assert.equal(await ask("names"), CLOSED);
  assert.equal((await fixture.ok("vm", "exec", "names", "--", "cat", "/etc/resolv.conf")).stdout.trim(), "");
  await fixture.ok("network", "setup", "--nameserver", "203.0.113.1");
  assert.equal(await ask("names"), REFUSED);
  await fixture.ok("vm", "delete", "names");
});

test("what somebody changes of table, bridge and devices is put back and told", async () => {
  const { vms } = await status();
  internet.run("nft", "add", "rule", "inet", "firebreak", "vm_fbt0", "accept");
  internet.run("ip", "link", "set", "fbt0", "nomaster");
  internet.run("ip", "neigh", "del", `${vms[0]?.address}`, "dev", "fbbr0");
  // Told as it is found, or as it was put back meanwhile.
  const told = new Set<string>();
  await waitFor(async () => {
    const { drift, lastRepair } = await status();
    for (const what of [...drift, ...(lastRepair?.what ?? [])]) told.add(what);
    return lastRepair !== undefined && drift.length === 0;
  }, 30_000);
  assert.deepEqual([...told].sort(), [
    "fbt0 is not cut off from other VMs",
    `the address ${vms[0]?.address} is not bound to ${vms[0]?.device}`,
    "the table has been changed",
  ]);
  assert.match(await get("open", `http://${PUBLIC}/`), /saw/);
  const { stdout } = await fixture.ok("event", "list", "open");
  assert.match(stdout, /network_repaired/);
});

test("a fork has an address of its own, and one that was suspended has its old one", async () => {
  await fixture.ok("vm", "fork", "open", "twin");
  const addresses = (await status()).vms.map(({ address }) => address);
  assert.equal(new Set(addresses).size, 3);
  assert.match(await get("twin", `http://${PUBLIC}/`), /saw/);
  await fixture.ok("vm", "suspend", "open");
  assert.match(await get("open", `http://${PUBLIC}/`), /saw/);
  assert.match(await get("twin", `http://${PUBLIC}/`), /saw/);
});

test("a probe from within finds nothing out against the rules", async () => {
  const probed = await fixture.cli(["vm", "probe", "open", "--json"]);
  const { isTight, findings } = JSON.parse(probed.stdout) as ProbeResult;
  assert.deepEqual([probed.exitCode, isTight], [0, true], JSON.stringify(findings));
  for (const { target, isOut } of findings) assert.equal(isOut, false, target);
  for (const probe of ["a redirect to a private address", "a name that changes its mind"])
    assert.ok(
      findings.some((finding) => finding.probe === probe),
      probe,
    );
});

test("a daemon that dies leaves the rules in force, and the next one looks after them again", async () => {
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  internet.run("nft", "delete", "table", "inet", "firebreak");
  await waitFor(async () => (await fixture.cli(["vm", "list"])).exitCode === 0);
  const { drift, vms } = await status();
  assert.deepEqual(drift, []);
  assert.deepEqual(neighbours(), vms.map(({ address }) => address).sort());
  assert.match(await get("open", `http://${PUBLIC}/`), /saw/);
  assert.equal(await get("open", `http://${PRIVATE}/`), "");
});

test("a VM whose rules cannot be applied does not start", async () => {
  internet.run("ip", "link", "delete", "fbbr0");
  const { exitCode, stderr } = await fixture.cli(["vm", "create", "late", "--network", "nat"]);
  assert.notEqual(exitCode, 0, stderr);
  assert.match(stderr, /NETWORK_SETUP_FAILED/);
});

test("teardown takes all of it back, once nobody has a card", async () => {
  assert.match((await fixture.cli(["network", "teardown"])).stderr, /NETWORK_IN_USE/);
  for (const { id } of await fixture.client.vms.list()) await fixture.client.vms.delete(id);
  await fixture.ok("network", "teardown");
  assert.equal((await status()).isSetUp, false);
  assert.doesNotMatch(internet.run("ip", "link", "show"), /fbbr0|fbt\d/);
  assert.doesNotMatch(internet.run("nft", "list", "tables"), /firebreak/);
  assert.equal(internet.run("cat", "/proc/sys/net/ipv4/ip_forward").trim(), "0");
});

test("what is set up again keeps its subnet, unless another one is asked for", async () => {
  const setup = (...args: string[]) => fixture.json<NatStatus>("network", "setup", ...args);
  await setup("--subnet", "10.202.0.0/16", "--nameserver", "203.0.113.1");
  assert.equal((await setup("--nameserver", "203.0.113.9")).gateway, "10.202.0.1");
  assert.equal((await setup("--subnet", "10.201.0.0/16", "--nameserver", "203.0.113.1")).gateway, "10.201.0.1");
});

test("user-mode networking is asked for by name, has no rules, and its VMs are not saved", async () => {
  assert.match((await fixture.ok("network", "setup", "--user")).stdout, /loopback/);
  assert.match(
    (await fixture.cli(["vm", "create", "plain", "--network", "nat", "--allow", `${PUBLIC}:80`])).stderr,
    /POLICY_INVALID/,
  );
  await fixture.ok("vm", "create", "plain", "--network", "nat");
  assert.equal(await get("plain", `http://${PUBLIC}/`), `${PUBLIC} saw 203.0.113.2`);
  // It has no rules, and a probe of it says so: it reaches what listens on this host's loopback.
  const probed = await fixture.cli(["vm", "probe", "plain", "--json"]);
  assert.equal(probed.exitCode, 1);
  assert.deepEqual(
    (JSON.parse(probed.stdout) as ProbeResult).findings
      .filter(({ probe }) => probe === "a name that changes its mind")
      .map(({ isOut, detail }) => [isOut, detail]),
    [[true, "a service of this host answered"]],
  );
  for (const args of [
    ["snapshot", "create", "plain"],
    ["vm", "suspend", "plain"],
  ])
    assert.match((await fixture.cli(args)).stderr, /user-mode network[\s\S]*VM_STATE_CONFLICT|VM_STATE_CONFLICT/);
  assert.doesNotMatch(internet.run("ip", "link", "show"), /fbbr0/);
});
