import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import type { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { type CliResult, type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let home: string;
let config: string;
before(async () => {
  fixture = await startDaemonFixture();
  home = path.join(fixture.folder, "user");
  mkdirSync(path.join(home, ".ssh"), { recursive: true });
  config = path.join(home, ".ssh", "config");
  writeFileSync(config, "Host *\n  User nobody\n  StrictHostKeyChecking no\n", { mode: 0o600 });
  await fixture.client.vms.create({ name: "web" });
  const written = await cli("ssh-config", "--write");
  assert.equal(written.exitCode, 0, written.stderr);
});
after(() => fixture.close());

const cli = (...args: string[]) => fixture.cli(args, { env: { HOME: home } });

/** A real program of OpenSSH's; ssh finds its configuration by the passwd entry, not by HOME, so that it has to be named. */
function start(program: string, args: string[]): ChildProcess {
  return spawn(program, ["-F", config, ...args], {
    env: { ...fixture.env, HOME: home },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

async function run(program: string, args: string[], input: string | Buffer = ""): Promise<CliResult> {
  const child = start(program, args);
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on("data", (chunk) => {
    stderr += String(chunk);
  });
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, stdout, stderr };
}

test("ssh runs commands in a VM under a strict check of its host key, and passes exit codes and bytes", async () => {
  const hello = await run("ssh", ["firebreak-web", "id -un; hostname; node -p 6*7; exit 7"]);
  assert.deepEqual([hello.exitCode, hello.stdout], [7, "root\nweb\n42\n"], hello.stderr);
  const bytes = randomBytes(1_000_000).toString("base64");
  const echoed = await run("ssh", ["firebreak-web", "cat"], bytes);
  assert.ok(echoed.stdout === bytes);
  const ours = await cli("vm", "ssh", "web", "--", "echo", "ours");
  assert.deepEqual([ours.exitCode, ours.stdout], [0, "ours\n"], ours.stderr);
});

test("scp and sftp copy files both ways", async () => {
  const local = path.join(fixture.folder, "file");
  const bytes = randomBytes(300_000);
  writeFileSync(local, bytes);
  const there = await run("scp", [local, "firebreak-web:/root/file"]);
  assert.equal(there.exitCode, 0, there.stderr);
  const back = await run("sftp", ["-b", "-", "firebreak-web"], `get /root/file ${local}.back\nls /etc/hostname\n`);
  assert.equal(back.exitCode, 0, back.stderr);
  assert.ok(readFileSync(`${local}.back`).equals(bytes));
});

test("a session has the environment of the VM's commands, which other users of the guest do not see", async () => {
  const env = {
    GREETING: "hello  world",
    QUOTED: `a "b" 'c' \\d \\\\e #f $HOME %h`,
    EMPTY: "",
    WIDE: "grüße",
    PATH: "/opt/bin:/usr/bin:/bin",
    // Neither may take the place of the user's own.
    HOME: "/nowhere",
    LINES_OF: "two\nlines",
  };
  await fixture.client.vms.create({ name: "set", env });
  const show = "import json, os; print(json.dumps(dict(os.environ)))";
  const { stdout, stderr } = await run("ssh", ["firebreak-set", `python3 -c '${show}'`]);
  assert.notEqual(stdout, "", stderr);
  const { GREETING, QUOTED, EMPTY, WIDE, PATH, HOME, LANG, LINES_OF } = JSON.parse(stdout);
  const expected = [env.GREETING, env.QUOTED, env.EMPTY, env.WIDE, env.PATH, "/root", "C.UTF-8", undefined];
  assert.deepEqual([GREETING, QUOTED, EMPTY, WIDE, PATH, HOME, LANG, LINES_OF], expected);
  const session = start("ssh", ["firebreak-set", "echo there; cat"]);
  await once(session.stdout as Readable, "data");
  try {
    // The pattern does not match the command that has it.
    const places = "/run/firebreak-ssh/* /proc/[0-9]*/cmdline";
    const script = `grep -la 'hello  [w]orld' ${places} 2>/dev/null; echo seen by $(id -un)`;
    const seenBy = async (user: string) =>
      (await cli("vm", "exec", "set", "--user", user, "--", "sh", "-c", script)).stdout;
    assert.equal(await seenBy("nobody"), "seen by nobody\n");
    assert.equal(await seenBy("root"), "/run/firebreak-ssh/config\nseen by root\n");
  } finally {
    session.stdin?.end();
    await once(session, "close");
  }
  const copied = await run("sftp", ["-b", "-", "firebreak-set"], "ls /etc/hostname\n");
  assert.match(copied.stdout, /\/etc\/hostname/, copied.stderr);
});

test("ssh -L reaches what listens in the VM", async () => {
  const script =
    "import socket\ns = socket.create_server(('127.0.0.1', 7070))\nwhile 1:\n c, _ = s.accept(); c.sendall(b'through'); c.close()";
  await cli("vm", "exec", "web", "--detach", "--", "python3", "-c", script);
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const tunnel = start("ssh", [
    "-N",
    "-o",
    "ExitOnForwardFailure=yes",
    "-L",
    `127.0.0.1:${port}:127.0.0.1:7070`,
    "firebreak-web",
  ]);
  try {
    await waitFor(
      () =>
        new Promise<boolean>((resolve) => {
          let text = "";
          const socket = net.connect(port, "127.0.0.1");
          socket.on("data", (chunk) => {
            text += String(chunk);
          });
          socket.once("error", () => {});
          socket.once("close", () => resolve(text === "through"));
        }),
    );
  } finally {
    tunnel.kill();
    await once(tunnel, "close");
  }
});

test("each VM has a host key of its own, no port listens in it, and nobody else's key gets in", async () => {
  await fixture.client.vms.fork("web", { name: "copy" });
  const keyOf = async (vm: string) =>
    (
      await run("ssh", [
        `firebreak-${vm}`,
        "cat /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null || ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key",
      ])
    ).stdout.split(" ")[1];
  const [web, copy] = [await keyOf("web"), await keyOf("copy")];
  assert.ok(web && copy && web !== copy);
  assert.equal((await run("ssh", ["firebreak-web", "ss -Hltn | grep -c ':22 ' || true"])).stdout, "0\n");
  const stranger = path.join(fixture.folder, "stranger");
  const made = spawn("ssh-keygen", ["-q", "-N", "", "-t", "ed25519", "-f", stranger]);
  await once(made, "close");
  const options = [
    `ProxyCommand=${fixture.program} vm ssh-proxy firebreak-web`,
    `IdentityFile=${stranger}`,
    ...["IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "StrictHostKeyChecking=no"],
    "UserKnownHostsFile=/dev/null",
  ];
  const refused = await run("ssh", ["-F", "none", ...options.flatMap((option) => ["-o", option]), "root@web", "true"]);
  assert.equal(refused.exitCode, 255);
  assert.match(refused.stderr, /Permission denied \(publickey\)/);
});

test("a suspended VM is brought back by ssh", async () => {
  await fixture.client.vms.suspend("web");
  assert.equal((await run("ssh", ["firebreak-web", "echo back"])).stdout, "back\n");
});

test("a VM without sshd, and one that is not there, are one clear error", async () => {
  await fixture.client.vms.create({ name: "bare" });
  await cli("vm", "exec", "bare", "--", "rm", "/usr/sbin/sshd");
  const bare = await run("ssh", ["firebreak-bare", "true"]);
  assert.equal(bare.exitCode, 255);
  assert.match(bare.stderr, /the VM 'bare' has no sshd \(SSH_SERVER_MISSING\)\n +.*install openssh-server/);
  assert.match((await run("ssh", ["firebreak-nope", "true"])).stderr, /VM_NOT_FOUND/);
});

test("the entries are kept apart from the user's, once, with a backup, and go without a trace", async () => {
  const first = readFileSync(config, "utf8");
  assert.match(first, /^# firebreak.*\nInclude ".*\/ssh\/config"\n\nHost \*\n/);
  assert.equal(
    readFileSync(`${config}.before-firebreak`, "utf8"),
    "Host *\n  User nobody\n  StrictHostKeyChecking no\n",
  );
  assert.equal((await cli("ssh-config", "--write")).exitCode, 0);
  assert.equal(readFileSync(config, "utf8"), first);
  const key = path.join(fixture.paths.home, "ssh", "id_ed25519");
  assert.deepEqual([statSync(key).mode & 0o777, statSync(config).mode & 0o777], [0o600, 0o600]);
  assert.match((await cli("ssh-config", "web")).stdout, /^Host firebreak-web\n/);
  assert.equal((await cli("ssh-config", "--remove")).exitCode, 0);
  assert.equal(readFileSync(config, "utf8"), "Host *\n  User nobody\n  StrictHostKeyChecking no\n");
  assert.ok(!existsSync(path.join(fixture.paths.home, "ssh", "config")));
});
