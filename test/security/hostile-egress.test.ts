import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type HostileEgress, openHostileEgress } from "../support/hostile-egress.ts";

/** As an emulated guest has time for; test/slow/egress-flood.test.ts has more, and as many as a guest likes over its port are in test/integration/egress-flood.test.ts. */
const STREAMS = 500;
const QUESTIONS = 5_000;
const HEADER_MIB = 10;
const UNREAD = 100;

let egress: HostileEgress;
before(async () => {
  egress = await openHostileEgress();
});
after(() => egress?.close());

test("connections opened and thrown away as fast as it can, to a port that is allowed and to one that is not", async () => {
  const program = `
import socket, struct, sys, time
address = socket.gethostbyname("echo.test")
thrown = struct.pack("ii", 1, 0)
for port in map(int, sys.argv[2:]):
    held = []
    for i in range(int(sys.argv[1])):
        s = socket.socket(); s.setblocking(False); s.connect_ex((address, port)); held.append(s)
        if len(held) == 800:
            for each in held: each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, thrown); each.close()
            held = []
# The last ones are still open: what they are answered, and that it is more than the log has lines for, takes its time.
for _ in range(600):
    log = open("/run/firebreak/egress.log").read()
    if " refused echo.test:81:" in log and " more" in log: break
    time.sleep(0.1)
print(log)`;
  const refusals = await egress.against(program, STREAMS, egress.echo.port, 81);
  assert.match(refusals, /refused echo\.test:81: the rule '.*' allows echo\.test at port \d+, not 81/);
  assert.match(refusals, /^\d+ more$/m, "the guest's log has a share of them, and their number");
  const denied = (await egress.log()).filter(({ port, verdict }) => port === 81 && verdict === "denied");
  assert.ok(denied.length > 0 && denied.length < 100, "equal ones are one event");
});

test("a flood of questions for names", async () => {
  const program = `
import os, socket, struct, sys
def question(i, name):
    labels = b"".join(bytes([len(each)]) + each for each in name.split(b"."))
    return struct.pack("!HHHHHH", i & 0xffff, 0x100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!HH", 1, 1)
s = socket.socket(type=socket.SOCK_DGRAM); s.connect(("198.18.0.1", 53)); s.setblocking(False)
codes = {}
def hear():
    while True:
        try: code = s.recv(2000)[3] & 15
        except BlockingIOError: return
        codes[code] = codes.get(code, 0) + 1
for i in range(int(sys.argv[1])):
    try: s.send(question(i, b"n%d.denied.test" % i))
    except BlockingIOError: pass
    if i % 64 == 0: hear()
s.setblocking(True); s.settimeout(5)
try:
    while True:
        code = s.recv(2000)[3] & 15; codes[code] = codes.get(code, 0) + 1
except TimeoutError: pass
print(*sorted(codes))
print(open("/run/firebreak/egress.log").read())`;
  const [codes, ...refusals] = (await egress.against(program, QUESTIONS)).split("\n");
  // Refused, or that there are too many (SERVFAIL); nothing else.
  assert.match(codes ?? "", /^(2 )?5$/);
  assert.match(refusals.join("\n"), /refused n\d+\.denied\.test: no rule of the policy allows n\d+\.denied\.test/);
});

/** Over TLS that is opened on the host, and over none. */
const HEAD = `
import socket, ssl, sys, time
port, mib = int(sys.argv[1]), int(sys.argv[2])
def opened(is_tls):
    s = socket.create_connection(("api.test", port), 120)
    return ssl.create_default_context(cafile="/run/firebreak/ca.pem").wrap_socket(s, server_hostname="api.test") if is_tls else s
def answer(s):
    text = b""
    try:
        while part := s.recv(65536): text += part
    except OSError: pass
    return text.decode().replace("\\r\\n", "|")
`;

test("a head of many MiB for a host whose requests are looked at", async () => {
  const program = `${HEAD}
for is_tls in True, False:
    s = opened(is_tls)
    try:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: api.test\\r\\nX: ")
        for i in range(mib): s.sendall(b"y" * (1 << 20))
    except OSError: pass
    print(answer(s))`;
  const answers = (await egress.against(program, egress.api.port, HEADER_MIB)).trim().split("\n\n");
  for (const each of answers)
    assert.match(each, /^HTTP\/1\.1 431 .*firebreak: a request's head is larger than 64 KiB/, JSON.stringify(answers));
  assert.ok((await egress.log()).some(({ why, verdict }) => verdict === "denied" && /head is larger/.test(why ?? "")));
  assert.equal(egress.api.received.length, 0);
});

test("a head that never ends is given up after its time, and what is no request at once", async () => {
  const program = `${HEAD}
s, silent = opened(True), opened(True)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: api.test\\r\\nX: y")
for each in s, silent: print(answer(each))
s = opened(True); s.sendall(b"SSH-2.0-x\\r\\n"); print(answer(s))`;
  const answers = await egress.against(program, egress.api.port, HEADER_MIB);
  const [stalled, silent, none] = answers.split("\n").filter((line) => line.startsWith("HTTP"));
  for (const each of [stalled, silent])
    assert.match(each ?? "", /^HTTP\/1\.1 408 .*firebreak: no request in 60 s/, answers);
  assert.match(none ?? "", /^HTTP\/1\.1 400 .*firebreak: what the client sends is no request/, answers);
});

test("connections that pour and that nobody reads", async () => {
  const program = `
import socket, sys, time
held = [socket.create_connection(("source.test", int(sys.argv[1])), 120) for i in range(int(sys.argv[2]))]
time.sleep(10)
print(sum(len(s.recv(1)) for s in held))`;
  assert.equal(await egress.against(program, egress.source.port, UNREAD), `${UNREAD}\n`);
});
