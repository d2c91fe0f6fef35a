import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import type { EgressEvent } from "../../src/contract/egress.ts";
import type { Forward } from "../../src/contract/forward.ts";
import type { ProbeResult } from "../../src/contract/probe.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openUpstream } from "../support/egress-pair.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
const web = createServer((request, response) => {
  received.push(`${request.method} ${request.url}`);
  response.end("hello from the host");
});
const received: string[] = [];
let port: number;
let policyFile: string;

before(async () => {
  fixture = await startDaemonFixture();
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  port = (web.address() as AddressInfo).port;
  policyFile = path.join(fixture.folder, "policy.json");
  const policy = {
    mode: "allowlist",
    allow: [{ host: "web.test", ports: String(port), private: true }],
    hosts: { "web.test": "127.0.0.1" },
  };
  writeFileSync(policyFile, JSON.stringify(policy));
  const { exitCode, stderr } = await fixture.cli(["vm", "create", "net", "--policy", policyFile]);
  assert.equal(exitCode, 0, stderr);
});
after(async () => {
  web.close();
  await fixture.close();
});

const sh = (script: string, vm = "net") => fixture.cli(["vm", "exec", vm, "--", "bash", "-c", script]);
const log = async (vm = "net"): Promise<EgressEvent[]> =>
  (JSON.parse((await fixture.cli(["--json", "egress", "log", vm])).stdout) as { events: EgressEvent[] }).events;

test("what the policy names is reached by its name, and the log says so", async () => {
  const got = await sh(`curl -sS -m 20 http://web.test:${port}/there`);
  assert.deepEqual([got.exitCode, got.stdout], [0, "hello from the host"], got.stderr);
  assert.ok(received.includes("GET /there"));
  await waitFor(async () => (await log()).some(({ name, state }) => name === "web.test" && state === "closed"));
  const event = (await log()).find(({ name }) => name === "web.test");
  assert.deepEqual([event?.verdict, event?.address, event?.port], ["allowed", "127.0.0.1", port]);
  assert.ok((event?.receivedBytes ?? 0) > 19);
  assert.match(
    (await fixture.cli(["egress", "log", "net"])).stdout,
    /allowed {2}tcp {2}web\.test:\d+ {2}at 127\.0\.0\.1; rule web\.test/,
  );
});

test("what goes over a way out is counted", async () => {
  const before = (await fixture.client.vms.stats("net")).network;
  await sh(`head -c 300000 /dev/zero | curl -sS -m 20 --data-binary @- http://web.test:${port}/much`);
  const after = (await fixture.client.vms.stats("net")).network;
  const received = (after?.receivedBytes ?? 0) - (before?.receivedBytes ?? 0);
  assert.ok(received >= 300_000 && received < 400_000, JSON.stringify([before, after]));
  assert.ok((after?.sentBytes ?? 0) > (before?.sentBytes ?? 0));
});

test("all else is refused at once, and both the guest and the host are told why", async () => {
  const before = received.length;
  const script = `
    getent ahostsv4 other.test; echo $?
    curl -sS -m 20 http://other.test/ ; echo $?
    curl -sS -m 20 http://127.0.0.1:${port}/ ; echo $?
    curl -sS -m 20 http://1.1.1.1/ ; echo $?
    curl -sS -m 20 http://web.test:81/ ; echo $?
    python3 - <<'PY'
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET6, kind)
    try:
        s.settimeout(20); s.connect(("2001:db8::7", 443)); s.send(b"x"); s.recv(10)
        print("sent")
    except OSError as error:
        print("v6", error.errno)
print({family.name for family, *_ in socket.getaddrinfo("web.test", 80)})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.settimeout(10); s.connect(("8.8.8.8", 53)); s.send(b"x"); s.recv(10)
    print("sent")
except OSError as error:
    print("udp", error.errno)
PY
    cat /run/firebreak/egress.log`;
  const { stdout } = await sh(script);
  // 113 is EHOSTUNREACH, 13 EACCES: at once, not after a while. A name has no address of IPv6 to be tried first.
  assert.match(stdout, /^2\n6\n7\n7\n(?:5[56]|35|7)\nv6 13\nv6 13\n\{'AF_INET'\}\nudp 113\n/, stdout);
  for (const place of ["tcp 1.1.1.1:80", "udp 8.8.8.8:53", "tcp [2001:db8::7]:443", "udp [2001:db8::7]:443"])
    assert.ok(stdout.includes(`refused ${place}: addresses without a name lead nowhere`), stdout);
  await waitFor(async () => (await log()).some(({ address }) => address === "8.8.8.8"));
  const v6 = (await log()).filter(({ address }) => address === "2001:db8::7");
  assert.deepEqual(v6.map(({ protocol, port, verdict }) => `${protocol} ${port} ${verdict}`).sort(), [
    "tcp 443 denied",
    "udp 443 denied",
  ]);
  assert.match(stdout, /refused other\.test: no rule of the policy allows other\.test/);
  assert.match(stdout, /refused web\.test:81: the rule '.*' allows web\.test at port \d+, not 81/);
  const events = await log();
  assert.ok(
    events.some(({ name, verdict, protocol }) => name === "other.test" && verdict === "denied" && protocol === "dns"),
  );
  assert.ok(
    events.some(({ name, port: wanted, verdict }) => name === "web.test" && wanted === 81 && verdict === "denied"),
  );
  assert.ok(
    events.some(({ address, port: wanted, protocol }) => address === "1.1.1.1" && wanted === 80 && protocol === "tcp"),
  );
  assert.equal(received.length, before);
});

/** Asks the guest's name server over TCP and UDP, and prints the answer's code and addresses. */
const DNS = `
import socket, struct, sys
def asked(name, is_tcp):
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!HH", 1, 1)
    s = socket.socket(type=socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
    s.settimeout(20); s.connect(("198.18.0.1", 53))
    if not is_tcp:
        s.send(question); answer = s.recv(2000)
    else:
        s.sendall(struct.pack("!H", len(question)) + question)
        with s.makefile("rb") as stream: answer = stream.read(struct.unpack("!H", stream.read(2))[0])
    number, flags, _, count, _, _ = struct.unpack("!HHHHHH", answer[:12])
    print("tcp" if is_tcp else "udp", name, number, flags & 15, count, socket.inet_ntoa(answer[-4:]) if count else "-")
for is_tcp in True, False:
    for name in sys.argv[1:]: asked(name, is_tcp)`;

test("the name server answers over TCP and UDP: with an address for a name that is allowed, REFUSED for another", async () => {
  const { stdout, stderr } = await fixture.cli([
    "vm",
    "exec",
    "net",
    "--",
    "python3",
    "-c",
    DNS,
    "web.test",
    "no.test",
  ]);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.length, 4, stderr);
  for (const [index, protocol] of ["tcp", "udp"].entries()) {
    assert.match(lines[2 * index] ?? "", new RegExp(`^${protocol} web\\.test 7 0 1 198\\.1[89]\\.\\d+\\.\\d+$`));
    // 5 is REFUSED (RFC 1035 §4.1.1): no resolver goes on to ask another for that.
    assert.equal(lines[2 * index + 1], `${protocol} no.test 7 5 0 -`);
  }
});

test("a ping without a network card is refused at once, in the guest's log and as an event", async () => {
  await fixture.ok("vm", "cp", "/bin/busybox", "net:/usr/local/bin/busybox");
  const pinged = await sh("busybox ping -c 1 -W 20 192.0.2.55; echo $?; tail -n 3 /run/firebreak/egress.log");
  assert.match(pinged.stdout, /1 packets transmitted, 0 packets received[\s\S]*\n1\n/, pinged.stderr);
  assert.match(pinged.stdout, /refused icmp 192\.0\.2\.55: addresses without a name lead nowhere/);
  await waitFor(async () => (await log()).some(({ protocol }) => protocol === "icmp"));
  const event = (await log()).find(({ protocol }) => protocol === "icmp");
  assert.deepEqual([event?.verdict, event?.address, event?.port], ["denied", "192.0.2.55", undefined]);
  // By name, too: the name has an address of the guest's own, to which nothing answers for the host beyond.
  await fixture.ok("vm", "create", "shut");
  const shut = await sh(
    "ip route get 192.0.2.55 >/dev/null; python3 - <<'PY'\nimport socket\ns = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\ns.settimeout(20)\ns.connect(('192.0.2.55', 0))\ns.send(bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0]))\ntry: s.recv(100); print('an answer')\nexcept OSError as error: print('none', error.errno)\nPY\ncat /run/firebreak/egress.log",
    "shut",
  );
  assert.match(shut.stdout, /refused icmp 192\.0\.2\.55: this VM has no network/, shut.stdout + shut.stderr);
});

test("without a policy there is no way out, and the refusal names the flag that opens one", async () => {
  await fixture.cli(["vm", "create", "closed"]);
  const { stdout } = await sh("curl -sS -m 20 http://web.test/; echo $?; cat /run/firebreak/egress.log", "closed");
  assert.match(
    stdout,
    /^6\n.*refused web\.test: this VM has no network; open one with: firebreak vm policy set closed --allow HOST/s,
  );
  const opened = await fixture.cli(["vm", "policy", "set", "closed", "--policy", policyFile]);
  assert.equal(opened.exitCode, 0, opened.stderr);
  assert.equal((await sh(`curl -sS -m 20 http://web.test:${port}/opened`, "closed")).stdout, "hello from the host");
  await fixture.cli(["vm", "policy", "set", "closed", "--network", "none"]);
  assert.equal(
    (await sh(`curl -sS -m 20 http://web.test:${port}/; echo $?`, "closed")).stdout.trim().split("\n").at(-1),
    "6",
  );
});

test("a policy is replaced as the VM runs; what both allow goes on, what the new one does not is cut", async () => {
  const lines: string[] = [];
  const chat = await openUpstream((socket) => socket.on("data", (bytes) => lines.push(String(bytes))));
  const allow = (name: string) => ({ host: name, ports: "*", private: true });
  const set = async (names: string[]) => {
    const policy = {
      mode: "allowlist",
      allow: names.map(allow),
      hosts: Object.fromEntries(names.map((name) => [name, "127.0.0.1"])),
    };
    writeFileSync(policyFile, JSON.stringify(policy));
    const done = await fixture.cli(["vm", "policy", "set", "net", "--policy", policyFile]);
    assert.equal(done.exitCode, 0, done.stderr);
  };
  await set(["kept.test", "cut.test"]);
  const talk = (name: string) =>
    sh(`python3 - <<'PY'
import socket, time
s = socket.create_connection(("${name}", ${chat.port}))
for i in range(60):
    s.sendall(b"${name} %d\\n" % i); time.sleep(0.1)
print("done")
PY`);
  const [kept, cut] = [talk("kept.test"), talk("cut.test")];
  await waitFor(() => lines.some((line) => line.includes("kept")) && lines.some((line) => line.includes("cut")));
  await set(["kept.test"]);
  assert.match((await cut).stderr, /ConnectionResetError|BrokenPipeError/);
  assert.equal((await kept).stdout, "done\n");
  chat.close();
});

test("a daemon that dies takes connections along, and the next one opens the same ways again", async () => {
  const policy = {
    mode: "allowlist",
    allow: [{ host: "web.test", ports: String(port), private: true }],
    hosts: { "web.test": "127.0.0.1" },
  };
  writeFileSync(policyFile, JSON.stringify(policy));
  await fixture.cli(["vm", "policy", "set", "net", "--policy", policyFile]);
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  assert.equal((await sh(`curl -sS -m 20 http://web.test:${port}/again`)).stdout, "hello from the host");
  assert.equal((await sh("curl -sS -m 20 http://other.test/; echo $?")).stdout, "6\n");
});

test("forks and suspended VMs have the policy that they had", async () => {
  const fork = await fixture.cli(["--json", "vm", "fork", "net", "net-two"]);
  assert.equal((JSON.parse(fork.stdout) as Vm).network.mode, "allowlist", fork.stderr);
  assert.equal((await sh(`curl -sS -m 20 http://web.test:${port}/`, "net-two")).stdout, "hello from the host");
  await fixture.cli(["vm", "suspend", "net-two"]);
  assert.equal((await sh(`curl -sS -m 20 http://web.test:${port}/`, "net-two")).stdout, "hello from the host");
});

test("SSH works by name, to a real server, which is that of another VM", async () => {
  assert.equal((await fixture.cli(["vm", "create", "server"])).exitCode, 0);
  await fixture.cli(["vm", "policy", "set", "net", "--network", "none"]);
  const key = (await sh("ssh-keygen -q -t ed25519 -N '' -f /root/k && cat /root/k.pub")).stdout.trim();
  // Not as the shell's last command: a child of PID 1 without a terminal takes itself for a daemon, and stays.
  const started = await sh(
    `mkdir -p /run/sshd /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && echo '${key}' > /root/.ssh/authorized_keys && chmod 700 /root/.ssh && /usr/sbin/sshd; pgrep -x sshd`,
    "server",
  );
  assert.equal(started.exitCode, 0, started.stderr);
  const forward = JSON.parse((await fixture.cli(["forward", "create", "server", "22", "--json"])).stdout) as Forward;
  const ssh = () =>
    sh(
      `ssh -i /root/k -o StrictHostKeyChecking=no -o ConnectTimeout=20 -p ${forward.hostPort} root@git.internal hostname`,
    );
  assert.equal((await ssh()).exitCode, 255, "not before a rule says so");
  const policy = {
    mode: "allowlist",
    allow: [{ host: "git.internal", ports: String(forward.hostPort), private: true }],
    hosts: { "git.internal": "127.0.0.1" },
  };
  const file = path.join(fixture.folder, "ssh.json");
  writeFileSync(file, JSON.stringify(policy));
  await fixture.cli(["vm", "policy", "set", "net", "--policy", file]);
  const got = await ssh();
  assert.equal(got.stdout, "server\n", got.stderr);
});

/** What a hostile server would do, and how it reads that it was of no use. */
const PLAYED = [
  ["a redirect to a private address", /^(reset at once|.*unreachable|.*No route.*|.*cannot be reached.*)/i],
  ["a name that changes its mind", /^reset at once$/],
  ["another name in a request's Host", /^HTTP\/1\.1 421 /],
  ["another name in TLS (SNI)", /^(?!a certificate)/],
] as const;

test("a probe from within finds nothing out that the policy does not name, in each mode", async () => {
  for (const args of [
    ["--policy", policyFile],
    ["--network", "none"],
    ["--network", "public"],
  ]) {
    await fixture.cli(["vm", "policy", "set", "net", ...args]);
    const probed = await fixture.cli(["vm", "probe", "net", "--json"]);
    const { isTight, findings } = JSON.parse(probed.stdout) as ProbeResult;
    assert.deepEqual(
      [probed.exitCode, isTight],
      [0, true],
      JSON.stringify(findings.filter(({ isExpected }) => !isExpected)),
    );
    assert.ok(findings.length >= 12);
    const isOpen = !args.includes("none");
    for (const [probe, seen] of PLAYED) {
      const found = findings.filter((finding) => finding.probe === probe);
      assert.ok(found.length > 0, probe);
      for (const { isOut, detail } of found) {
        assert.equal(isOut, false, probe);
        assert.match(detail, isOpen ? seen : /^(NOTAUTH|REFUSED|NXDOMAIN|SERVFAIL)/, probe);
      }
    }
    const leftover = findings.find(({ probe }) => probe === "a name that changes its mind")?.target.split(" ")[0];
    assert.equal((await sh(`getent ahostsv4 ${leftover}; echo $?`)).stdout.endsWith("2\n"), args[1] !== "public");
    for (const { target, isOut } of findings)
      if (/^[\d.]+ port|localhost|:: port|metadata/.test(target)) assert.equal(isOut, false, target);
  }
  // A probe that could not find anything would prove nothing: where something is let out, it says so.
  const found = JSON.parse(
    (await fixture.cli(["vm", "policy", "set", "net", "--policy", policyFile, "--json"])).stdout,
  ) as Vm;
  assert.equal(found.network.mode, "allowlist");
  const allowed = JSON.parse((await fixture.cli(["vm", "probe", "net", "--json"])).stdout) as ProbeResult;
  assert.deepEqual(
    allowed.findings.filter(({ isOut }) => isOut).map(({ probe }) => probe),
    ["what the policy allows"],
  );
});

/** A policy with two mistakes. */
const LINES = `{
  "mode": "allowlist",
  "allow": ["a.example",
    "127.1"
  ],
  "hosts": {"10.0.0.1": "127.0.0.1"}
}`;

test("mistakes in policies are told with their place", async () => {
  const at = (name: string, text: string) => {
    writeFileSync(path.join(fixture.folder, name), text);
    return path.join(fixture.folder, name);
  };
  for (const [args, expected] of [
    [["--allow", "127.1"], /--allow: "127\.1" is an address, not a name \(POLICY_INVALID\)/],
    [["--allow", "registires"], /did you mean 'registries'/],
    [["--network", "open"], /--network: 'open' is not none, allowlist, public/],
    [["--network", "none", "--allow", "a.example"], /mode none allows nothing/],
    [["--policy", "/nowhere"], /HOST_PATH_NOT_FOUND/],
    [
      ["--policy", at("lines.json", LINES)],
      /lines\.json:4:5: allow\[1\]: "127\.1" is an address[\s\S]*lines\.json:6:13: hosts\./,
    ],
    [["--policy", at("cut.json", '{\n  "mode": "allowlist",\n  "allow": [}\n')], /cut\.json:3:13: it is not JSON/],
    [["--policy", at("key.json", '{\n  "mode": "allowlist",\n  "alow": []\n}')], /key\.json:3:3: /],
    [["--policy", policyFile, "--allow", "a.example"], /goes with none of/],
  ] as const) {
    const { exitCode, stderr } = await fixture.cli(["vm", "policy", "set", "net", ...args]);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, expected);
  }
});
