import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import net from "node:net";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const ECHO = `
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536): self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 256
    daemon_threads = True
Server(("127.0.0.1", 7000), Echo).serve_forever()`;

const start = (vm: string, ...argv: string[]) => fixture.cli(["vm", "exec", vm, "--detach", "--", ...argv]);

/** Waits until what was started listens, by what a forward tells of its connections. */
async function fetchText(url: string): Promise<string> {
  let text = "";
  await waitFor(async () => {
    const response = await fetch(url).catch(() => undefined);
    if (response === undefined) return false;
    text = await response.text();
    return true;
  });
  return text;
}

function echo(port: number, sent: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.once("error", reject);
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.end(sent);
  });
}

test("a web server in a VM is reached from this host, after a kill of the daemon and a suspension too, until the VM is deleted", async () => {
  const created = await fixture.cli(["vm", "create", "web", "--publish", "8000", "--json"]);
  assert.equal(created.exitCode, 0, created.stderr);
  const [forward] = (JSON.parse(created.stdout) as { forwards: { id: string; hostPort: number }[] }).forwards;
  assert.ok(forward !== undefined);
  const url = `http://127.0.0.1:${forward.hostPort}/`;
  await assert.rejects(fetch(url));
  assert.match(
    (await fixture.cli(["forward", "get", forward.id])).stdout,
    /notice +nothing listens on 127\.0\.0\.1:8000/,
  );
  await fixture.cli(["vm", "exec", "web", "--", "sh", "-c", "mkdir /srv/www; echo it works > /srv/www/index.html"]);
  await start("web", "python3", "-m", "http.server", "8000", "--bind", "127.0.0.1", "-d", "/srv/www");
  assert.equal(await fetchText(url), "it works\n");

  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  assert.equal((await fixture.cli(["daemon", "start"])).exitCode, 0);
  assert.equal(await fetchText(url), "it works\n");

  await fixture.client.vms.suspend("web");
  assert.equal(await fetchText(url), "it works\n");
  assert.equal((await fixture.client.vms.get("web")).state, "running");

  const listed = await fixture.cli(["forward", "list", "web"]);
  assert.match(listed.stdout, new RegExp(`${forward.id} +web +127\\.0\\.0\\.1:${forward.hostPort} +8000 +listening`));
  await fixture.client.vms.delete("web");
  assert.deepEqual(await fixture.client.forwards.list(), []);
  await waitFor(() =>
    fetch(url).then(
      () => false,
      (error: Error) => (error.cause as { code?: string }).code === "ECONNREFUSED",
    ),
  );
});

test("2 MiB come back byte for byte, and a hundred connections at once are served", async () => {
  await fixture.client.vms.create({ name: "echo" });
  await start("echo", "python3", "-c", ECHO);
  const made = await fixture.cli(["forward", "create", "echo", "7000", "--json"]);
  const { hostPort, id } = JSON.parse(made.stdout) as { hostPort: number; id: string };
  const sent = randomBytes(2 * 1024 * 1024);
  await waitFor(() =>
    echo(hostPort, Buffer.from("ready?")).then(
      (text) => text.length > 0,
      () => false,
    ),
  );
  assert.ok((await echo(hostPort, sent)).equals(sent));
  const pieces = Array.from({ length: 100 }, () => randomBytes(2_000));
  const answers = await Promise.all(pieces.map((piece) => echo(hostPort, piece)));
  for (const [index, answer] of answers.entries()) assert.ok(answer.equals(pieces[index] as Buffer), String(index));
  await waitFor(async () => (await fixture.client.forwards.get(id)).connections.open === 0);
  assert.equal((await fixture.cli(["forward", "delete", id])).exitCode, 0);
  await assert.rejects(echo(hostPort, sent), { code: "ECONNREFUSED" });
});

test("what is wrong is one clear error, and a wide address is warned of", async () => {
  await fixture.client.vms.create({ name: "box" });
  const wide = await fixture.cli(["forward", "create", "box", "0.0.0.0:0:80"]);
  assert.match(wide.stderr, /warning: whoever reaches 0\.0\.0\.0/);
  const { hostPort } = await fixture.client.forwards.create("box", { guestPort: 80 });
  const taken = await fixture.cli(["vm", "create", "late", "--publish", `${hostPort}:80`]);
  assert.deepEqual([taken.exitCode, /PORT_IN_USE/.test(taken.stderr)], [4, true]);
  assert.ok(!(await fixture.client.vms.list()).some((vm) => vm.name === "late"));
  for (const [args, code] of [
    [["forward", "create", "box", "nonsense"], "INVALID_ARGUMENT"],
    [["forward", "create", "nope", "80"], "VM_NOT_FOUND"],
    [["forward", "get", "f00"], "FORWARD_NOT_FOUND"],
    [["forward", "create", "box", "203.0.113.9:80:80"], "HOST_ADDRESS_UNAVAILABLE"],
  ] as const)
    assert.match((await fixture.cli([...args])).stderr, new RegExp(code), args.join(" "));
});

test("run publishes, too, and the port is gone with its VM", async () => {
  const run = await fixture.cli(["run", "--publish", "9000", "--", "true"]);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.deepEqual(
    (await fixture.client.forwards.list()).filter((forward) => forward.guestPort === 9000),
    [],
  );
});
