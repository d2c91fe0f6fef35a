import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type http from "node:http";
import type { Server } from "node:https";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type WebSocket, WebSocketServer } from "ws";
import type { EgressEvent } from "../../src/contract/egress.ts";
import type { Secret } from "../../src/contract/secret.ts";
import { badUpstreams } from "../support/bad-upstreams.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openUpstream, readAll } from "../support/egress-pair.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";

/** Programs of a VM over TLS that its host opens: what they say arrives, with the secret's value, and what goes wrong beyond is told to them. */

const VALUE = 'ghp_real&Value"4711-abcdefghij';
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-opened-"));
let fixture: DaemonFixture;
let api: Awaited<ReturnType<typeof openTlsUpstream>>;
let two: Awaited<ReturnType<typeof openTlsUpstream>>;
let tail: Awaited<ReturnType<typeof openUpstream>>;
let bad: Awaited<ReturnType<typeof badUpstreams>>;
let sockets: WebSocketServer;
const spoken: { text: string; headers: http.IncomingHttpHeaders; url: string | undefined }[] = [];

before(async () => {
  const caFile = path.join(folder, "host-ca.pem");
  writeFileSync(caFile, await hostAuthority.certificate());
  api = await openTlsUpstream("api.test");
  two = await openTlsUpstream("two.test", "h2");
  bad = await badUpstreams();
  // Says what it has heard once it has heard all.
  tail = await openUpstream((socket) => void readAll(socket).then((text) => socket.end(`heard ${text.length}`)));
  sockets = new WebSocketServer({ server: api.server as Server, path: "/v1/socket" });
  sockets.on("connection", (socket: WebSocket, { headers, url }) =>
    socket.on("message", (bytes) => {
      spoken.push({ text: String(bytes).slice(0, 100), headers, url });
      socket.send(`${String(bytes).length} bytes`);
    }),
  );
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  const hosts = ["--host", `api.test:${api.port}`, "--host", `two.test:${two.port}`];
  const places = ["--in", "header", "--in", "query", "--in", "body"];
  const set = ["secret", "set", "TOKEN", "--from-env", "MY_TOKEN", ...hosts, ...places];
  const { exitCode, stderr } = await fixture.cli(set, { env: { MY_TOKEN: VALUE } });
  assert.equal(exitCode, 0, stderr);
  const names = [
    { host: "api.test", ports: String(api.port), methods: ["GET", "POST"], paths: ["/v1/**"] },
    { host: "two.test", ports: String(two.port) },
    { host: "tail.test", ports: String(tail.port) },
    // Opened, since methods decide.
    ...bad.hosts.map(({ name, port }) => ({ host: name, ports: String(port), methods: ["GET"] })),
  ];
  const policy = {
    mode: "allowlist",
    allow: names.map((name) => ({ ...name, private: true })),
    hosts: Object.fromEntries(names.map(({ host }) => [host, "127.0.0.1"])),
  };
  writeFileSync(path.join(folder, "policy.json"), JSON.stringify(policy));
  await fixture.ok("vm", "create", "web", "--policy", path.join(folder, "policy.json"), "--secret", "TOKEN");
});
after(async () => {
  sockets?.close();
  for (const server of [api, two, tail, bad]) server?.close();
  await fixture?.close();
  rmSync(folder, { recursive: true });
});

const sh = (script: string) => fixture.cli(["vm", "exec", "web", "--", "bash", "-c", script]);
const url = (rest: string) => `https://api.test:${api.port}${rest}`;
const log = async (): Promise<EgressEvent[]> =>
  (await fixture.json<{ events: EgressEvent[] }>("egress", "log", "web", "--limit", "1000")).events;

test("curl speaks HTTP/2 to a host that does, with the value in its header", async () => {
  const got = await sh(
    `curl -sS -m 60 --http2 -o /dev/null -w '%{http_version} %{http_code}' -H "Authorization: Bearer $TOKEN" https://two.test:${two.port}/x`,
  );
  assert.equal(got.stdout, "2 200", got.stderr);
  assert.equal(two.received.at(-1)?.headers.authorization, `Bearer ${VALUE}`);
});

test("a placeholder becomes the value in Basic authentication, a query and bodies", async () => {
  const curl = async (words: string) => {
    const { stdout, stderr } = await sh(`curl -sS -m 60 -o /dev/null -w '%{http_code}' ${words}`);
    assert.equal(stdout, "200", stderr);
    const received = api.received.at(-1);
    assert.ok(received !== undefined);
    return received;
  };
  const basic = await curl(`-u "user:$TOKEN" ${url("/v1/a")}`);
  assert.equal(basic.headers.authorization, `Basic ${Buffer.from(`user:${VALUE}`).toString("base64")}`);
  assert.equal((await curl(`"${url("/v1/a?key=")}$TOKEN"`)).url, `/v1/a?key=${encodeURIComponent(VALUE)}`);
  assert.equal((await curl(`-d "key=$TOKEN" ${url("/v1/a")}`)).body, `key=${encodeURIComponent(VALUE)}`);
  const json = await curl(`-H 'Content-Type: application/json' -d "{\\"key\\":\\"$TOKEN\\"}" ${url("/v1/a")}`);
  assert.deepEqual(JSON.parse(json.body), { key: VALUE });
});

test("a WebSocket client speaks to a WebSocket server, with the value in its handshake", async () => {
  const client = path.dirname(fileURLToPath(import.meta.resolve("ws")));
  await fixture.ok("vm", "cp", client, "web:/opt/ws");
  const program = `
    const { WebSocket } = require("/opt/ws");
    const socket = new WebSocket("wss://api.test:${api.port}/v1/socket?key=" + process.env.TOKEN, { headers: { authorization: "Bearer " + process.env.TOKEN } });
    const words = ["one", "x".repeat(300000)];
    socket.on("open", () => { for (const word of words) socket.send(word); });
    socket.on("message", (bytes) => { console.log(String(bytes)); words.pop(); if (words.length === 0) socket.close(1000, "done"); });
    socket.on("close", (code, reason) => console.log("closed", code, String(reason)));
    socket.on("error", (error) => console.log(error.message));`;
  const got = await sh(`cat > /root/client.cjs <<'JS'\n${program}\nJS\ntimeout 100 node /root/client.cjs`);
  assert.equal(got.stdout, "3 bytes\n300000 bytes\nclosed 1000 done\n", got.stderr);
  const [first] = spoken;
  assert.deepEqual([first?.text, first?.headers.authorization], ["one", `Bearer ${VALUE}`]);
  assert.equal(first?.url, `/v1/socket?key=${encodeURIComponent(VALUE)}`);
});

test("methods and paths that no rule allows are refused to programs, who are told why", async () => {
  const before = api.received.length;
  for (const words of [
    `-X DELETE ${url("/v1/a")}`,
    url("/v2"),
    `--path-as-is ${url("/v1/../v2")}`,
    `--path-as-is ${url("/v1/%2e%2e/v2")}`,
  ]) {
    const { stdout } = await sh(`curl -sS -m 60 -w ' %{http_code}' ${words}`);
    assert.match(stdout, /^firebreak: no rule of the policy allows [\s\S]* 403$/, words);
  }
  const socket = await sh(
    `curl -sS -m 60 --http1.1 -w ' %{http_code}' -H 'Connection: Upgrade' -H 'Upgrade: websocket' ${url("/v2/socket")}`,
  );
  assert.match(socket.stdout, /^firebreak: no rule of the policy allows [\s\S]* 403$/);
  assert.equal(api.received.length, before);
  assert.ok((await log()).some(({ protocol, verdict }) => protocol === "http" && verdict === "denied"));
});

test("a program that has said all it has to say hears the answer, and one that has heard all may go on to speak", async () => {
  const half = `python3 - <<'PY'
import socket
s = socket.create_connection(("tail.test", ${tail.port}), 60)
s.sendall(b"x" * 300000); s.shutdown(socket.SHUT_WR)
text = b""
while part := s.recv(100): text += part
print(text.decode())
PY`;
  const got = await sh(half);
  assert.equal(got.stdout, "heard 300000\n", got.stderr);
  let heard = "";
  const head = await openUpstream((socket) => {
    socket.end("go on");
    void readAll(socket).then((text) => {
      heard = text;
    });
  });
  await fixture.ok("vm", "create", "other", "--policy", writeFor("head.test", head.port));
  const other = `
import socket, time
s = socket.create_connection(("head.test", ${head.port}), 60)
text = b""
while part := s.recv(100): text += part
time.sleep(1); s.sendall(b"y" * 1000); s.close(); print(text.decode())`;
  const spoke = await fixture.cli(["vm", "exec", "other", "--", "python3", "-c", other]);
  assert.equal(spoke.stdout, "go on\n", spoke.stderr);
  assert.equal(heard.length, 1000);
  head.close();
});

function writeFor(host: string, port: number): string {
  const file = path.join(folder, `${host}.json`);
  const allow = [{ host, ports: String(port), private: true }];
  writeFileSync(file, JSON.stringify({ mode: "allowlist", allow, hosts: { [host]: "127.0.0.1" } }));
  return file;
}

test("what is wrong with a host's certificate, or with the host, is told to the program and to the log", async () => {
  for (const { name, port, why } of bad.hosts) {
    const { stdout, stderr } = await sh(`curl -sS -m 60 -w ' %{http_code}' https://${name}:${port}/`);
    assert.match(stdout, why, `${name}: ${stderr}`);
    assert.match(stdout, / 502$/, name);
    assert.ok(
      (await log()).some((event) => event.name === name && event.verdict === "failed" && why.test(event.why ?? "")),
      `${name} is in the log`,
    );
  }
  assert.equal(bad.requests(), 0, "nothing is said to a host that is not the one");
});

test("a program that trusts certain certificates alone is told by its own TLS, and the log says what to make of it", async () => {
  writeFileSync(path.join(folder, "pinned.pem"), await hostAuthority.certificate());
  await fixture.ok("vm", "cp", path.join(folder, "pinned.pem"), "web:/root/pinned.pem");
  const before = api.received.length;
  // curl's 60: a certificate that it does not trust; 90: not the key that was pinned.
  const own = await sh(`curl -sS -m 60 --cacert /root/pinned.pem ${url("/v1/a")}; echo $?`);
  assert.match(own.stdout, /^60\n$/);
  assert.match(own.stderr, /self.signed certificate|unable to get local issuer certificate/);
  const key = await sh(
    `curl -sS -m 60 --pinnedpubkey sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ${url("/v1/a")}; echo $?`,
  );
  assert.match(key.stdout, /^90\n$/);
  assert.equal(api.received.length, before);
  const told = (await log()).map(({ why = "" }) => why);
  assert.ok(
    told.some((why) => /does not trust the VM's own certificate: it pins another/.test(why)),
    told.join("\n"),
  );
  // Who shows that a host is opened: the certificate's issuer is named after the VM.
  const { placeholder } = await fixture.json<Secret>("secret", "get", "TOKEN");
  const issuer = await sh(`echo | openssl s_client -connect api.test:${api.port} 2>/dev/null | grep -m1 issuer`);
  assert.match(issuer.stdout, /firebreak VM/);
  assert.ok(!told.some((why) => why.includes(VALUE) || why.includes(placeholder)));
});
