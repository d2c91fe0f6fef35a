import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Secret } from "../../src/contract/secret.ts";
import { judge } from "../support/aws-client.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";

const VALUE = "ghp_real-Value-4711-abcdefghij";
const ROTATED = "ghp_next-Value-4712-abcdefghij";
let fixture: DaemonFixture;
let upstream: Awaited<ReturnType<typeof openTlsUpstream>>;
let folder: string;
let policyFile: string;

before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-secret-"));
  const caFile = path.join(folder, "host-ca.pem");
  writeFileSync(caFile, await hostAuthority.certificate());
  upstream = await openTlsUpstream("api.test");
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  policyFile = path.join(folder, "policy.json");
  const policy = {
    mode: "allowlist",
    allow: [{ host: "api.test", ports: String(upstream.port), private: true }],
    hosts: { "api.test": "127.0.0.1" },
  };
  writeFileSync(policyFile, JSON.stringify(policy));
});
after(async () => {
  upstream.close();
  await fixture.close();
  rmSync(folder, { recursive: true, force: true });
});

const sh = (script: string, vm = "web") => fixture.cli(["vm", "exec", vm, "--", "bash", "-c", script]);
const host = () => `api.test:${upstream.port}`;
const last = () => upstream.received.at(-1)?.headers.authorization;

/** Files below a folder that hold the text; sockets and what is gone meanwhile are none. */
function filesWith(root: string, text: string): string[] {
  try {
    return execFileSync("grep", ["-rlaF", "--devices=skip", text, root], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
}

test("a secret is set from a variable, a file or stdin, never shown, and never in an argument", async () => {
  const env = { ...fixture.env, MY_TOKEN: VALUE };
  const set = await fixture.cli(["secret", "set", "TOKEN", "--host", host(), "--from-env", "MY_TOKEN"], { env });
  assert.equal(set.stdout, `TOKEN is kept, for ${host()}\n`, set.stderr);
  const file = path.join(folder, "value");
  writeFileSync(file, `${VALUE}\n`);
  assert.equal((await fixture.cli(["secret", "set", "FROM_FILE", "--from-file", file])).exitCode, 0);
  assert.equal((await fixture.cli(["secret", "set", "FROM_STDIN"], { input: `${VALUE}\n` })).exitCode, 0);
  for (const args of [["list"], ["get", "TOKEN"], ["--json", "get", "FROM_FILE"]]) {
    const words = args[0] === "--json" ? ["--json", "secret", ...args.slice(1)] : ["secret", ...args];
    const shown = await fixture.cli(words);
    assert.ok(shown.exitCode === 0 && !(shown.stdout + shown.stderr).includes(VALUE));
  }
  for (const [args, message] of [
    [["set", "bad-name", "--from-env", "MY_TOKEN"], /INVALID_ARGUMENT/],
    [["set", "X", "--from-env", "NOT_SET"], /the variable NOT_SET is not set/],
    [["set", "X", "--from-file", "/nowhere"], /HOST_PATH_NOT_FOUND/],
    [["rotate", "TOKNE", "--from-env", "MY_TOKEN"], /Did you mean TOKEN\?/],
    [["set", "X", "--host", "10.0.0.1", "--from-env", "MY_TOKEN"], /SECRET_INVALID/],
  ] as const) {
    const { stderr, exitCode } = await fixture.cli(["secret", ...args], { env });
    assert.ok(exitCode !== 0 && !stderr.includes(VALUE));
    assert.match(stderr, message);
  }
});

test("clients of a VM trust its certificate, and what they send with the placeholder arrives with the value", async () => {
  const created = await fixture.cli([
    "vm",
    "create",
    "web",
    "--policy",
    policyFile,
    "--secret",
    "TOKEN",
    "-e",
    "MINE=1",
  ]);
  assert.equal(created.exitCode, 0, created.stderr);
  const { placeholder } = JSON.parse((await fixture.cli(["--json", "secret", "get", "TOKEN"])).stdout) as Secret;
  assert.equal((await sh("echo $TOKEN $MINE")).stdout, `${placeholder} 1\n`);
  const url = `https://${host()}/`;
  for (const [name, script] of [
    ["curl", `curl -sS -m 30 -H "Authorization: Bearer $TOKEN" ${url}`],
    [
      "curl without its variables",
      `env -u SSL_CERT_FILE -u CURL_CA_BUNDLE curl -sS -m 30 -H "Authorization: Bearer $TOKEN" ${url}`,
    ],
    [
      "Python",
      `python3 -c 'import os, urllib.request as u; print(u.urlopen(u.Request("${url}", headers={"Authorization": "Bearer " + os.environ["TOKEN"]}), timeout=30).read())'`,
    ],
    [
      "Node",
      `node -e 'fetch("${url}", {headers: {authorization: "Bearer " + process.env.TOKEN}}).then((r) => r.text()).then(console.log)'`,
    ],
    ["git", `git -c http.extraHeader="Authorization: Bearer $TOKEN" ls-remote ${url}x.git 2>&1 || true`],
    [
      "openssl",
      `printf 'GET / HTTP/1.1\\r\\nHost: api.test\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n' "$TOKEN" | openssl s_client -quiet -verify_return_error -connect ${host()} -servername api.test 2>/dev/null`,
    ],
  ] as const) {
    const before = upstream.received.length;
    const got = await sh(script);
    assert.equal(got.exitCode, 0, `${name}: ${got.stderr}`);
    assert.equal(upstream.received.length, before + (name === "git" ? upstream.received.length - before : 1), name);
    assert.equal(last(), `Bearer ${VALUE}`, name);
    assert.ok(!got.stdout.includes(VALUE), `${name} shows what came back`);
  }
});

test("another value is used at once by the VM that runs", async () => {
  const env = { ...fixture.env, MY_TOKEN: ROTATED };
  assert.equal((await fixture.cli(["secret", "rotate", "TOKEN", "--from-env", "MY_TOKEN"], { env })).exitCode, 0);
  await sh(`curl -sS -m 30 -H "Authorization: Bearer $TOKEN" https://${host()}/`);
  assert.equal(last(), `Bearer ${ROTATED}`);
});

test("a daemon that was killed opens the same connections, for programs that had read the VM's certificate", async () => {
  const before = (await sh("sha256sum < <(openssl x509 -in /run/firebreak/ca.pem -noout -pubkey)")).stdout;
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  const got = await sh(`curl -sS -m 30 -H "Authorization: Bearer $TOKEN" https://${host()}/`);
  assert.equal(got.exitCode, 0, got.stderr);
  assert.equal(last(), `Bearer ${ROTATED}`);
  assert.equal((await sh("sha256sum < <(openssl x509 -in /run/firebreak/ca.pem -noout -pubkey)")).stdout, before);
});

test("the value is in no memory, disk, log, event or file but for the host that it is for; a fork may use it as its parent does", async () => {
  // Not as one word, so that no command's text has it.
  await sh("printf 'written-to-%s-4711' the-drive > /root/mark && sync");
  const taken = await fixture.cli(["snapshot", "create", "web", "with-secret"]);
  assert.equal(taken.exitCode, 0, taken.stderr);
  const fork = await fixture.cli(["snapshot", "fork", "with-secret", "two"]);
  assert.equal(fork.exitCode, 0, fork.stderr);
  await sh(`curl -sS -m 30 -H "Authorization: Bearer $TOKEN" https://${host()}/`, "two");
  assert.equal(last(), `Bearer ${ROTATED}`);
  // What runs in it has read its parent's certificate.
  const key = "openssl x509 -in /run/firebreak/ca.pem -noout -pubkey";
  assert.equal((await sh(key, "two")).stdout, (await sh(key)).stdout);
  const seen = (await sh("env; cat /proc/*/environ | tr '\\0' '\\n'")).stdout;
  // A placeholder is found where it is looked for in the same way: the search finds what is there.
  const { placeholder } = JSON.parse((await fixture.cli(["--json", "secret", "get", "TOKEN"])).stdout) as Secret;
  const memories = readdirSync(fixture.paths.snapshots).map((name) => path.join(fixture.paths.snapshots, name));
  assert.ok(
    memories.some((file) => filesWith(file, placeholder).length > 0),
    "the placeholder is in the memory that was saved",
  );
  assert.ok(seen.includes(placeholder), "the placeholder is in the guest's environment");
  const drives = filesWith(fixture.folder, "written-to-the-drive-4711").filter((file) => file.endsWith("overlay.ext4"));
  for (const place of [fixture.paths.vms, fixture.paths.snapshots])
    assert.ok(
      drives.some((file) => file.startsWith(`${place}/`)),
      `what a guest writes is found on drives below ${path.basename(place)}: ${drives}`,
    );
  for (const value of [VALUE, ROTATED]) {
    assert.ok(!seen.includes(value));
    assert.deepEqual(filesWith(fixture.folder, value), []);
    assert.ok(!(await fixture.cli(["--json", "event", "list"])).stdout.includes(value));
    assert.ok(!(await fixture.cli(["--json", "egress", "log"])).stdout.includes(value));
  }
});

test("curl in a VM signs for AWS with a placeholder, and what arrives is signed with the key, which is nowhere else", async () => {
  const real = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
  const env = { ...fixture.env, ID: real.accessKeyId, KEY: real.secretAccessKey };
  const set = (args: string[]) => fixture.cli(["secret", "set", ...args], { env });
  const keySet = ["AWS_SECRET_ACCESS_KEY", "--from-env", "KEY", "--host", host(), "--aws", "AWS_ACCESS_KEY_ID"];
  assert.match((await set(keySet)).stdout, /signs for the AWS key AWS_ACCESS_KEY_ID/);
  const policySet = ["vm", "policy", "set", "web", "--policy", policyFile, "--secret", "AWS_SECRET_ACCESS_KEY"];
  assert.match((await fixture.cli(policySet)).stderr, /SECRET_INVALID.*AWS_ACCESS_KEY_ID/s);
  assert.equal((await set(["AWS_ACCESS_KEY_ID", "--from-env", "ID"])).exitCode, 0);
  const allowed = await fixture.cli(policySet);
  assert.equal(allowed.exitCode, 0, allowed.stderr);
  const curl = (service: string, user: string, more: string) =>
    sh(
      `curl -sS -m 30 --http1.1 --aws-sigv4 aws:amz:eu-central-1:${service} --user "${user}" -H "Host: api.test" ${more}`,
    );
  const user = "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY";
  for (const [service, more] of [
    ["sts", `-d Action=GetCallerIdentity https://${host()}/`],
    ["s3", `-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" https://${host()}/bucket/a%20key`],
  ] as const) {
    const before = upstream.received.length;
    const got = await curl(service, user, more);
    assert.equal(upstream.received.length, before + 1, got.stdout + got.stderr);
    const received = upstream.received.at(-1);
    assert.ok(received !== undefined);
    const { given, expected } = await judge(received, real, service);
    assert.equal(given, expected);
    assert.ok(!(got.stdout + got.stderr).includes(real.secretAccessKey));
  }
  const refused = await curl("s3", "$AWS_ACCESS_KEY_ID:guessed-0123456789", `https://${host()}/bucket`);
  assert.match(refused.stdout, /^firebreak: not signed with the key AWS_SECRET_ACCESS_KEY/);
  const log = (await fixture.cli(["--json", "egress", "log"])).stdout;
  assert.ok(log.includes("not signed with the key AWS_SECRET_ACCESS_KEY") && !log.includes(real.secretAccessKey));
  assert.ok(!(await sh("env; cat /proc/*/environ")).stdout.includes(real.secretAccessKey));
  assert.deepEqual(filesWith(fixture.folder, real.secretAccessKey), []);
  assert.match((await fixture.cli(["secret", "delete", "AWS_ACCESS_KEY_ID"])).stderr, /SECRET_IN_USE/);
});

test("a secret that is handed over is shown as such, and the memory that holds it is not saved", async () => {
  const env = { ...fixture.env, MY_TOKEN: VALUE };
  await fixture.cli(["secret", "set", "OPEN", "--expose", "env", "--from-env", "MY_TOKEN"], { env });
  const created = await fixture.cli(["vm", "create", "open", "--secret", "OPEN"]);
  assert.equal(created.exitCode, 0, created.stderr);
  assert.equal((await sh("echo $OPEN", "open")).stdout, `${VALUE}\n`);
  for (const args of [
    ["snapshot", "create", "open", "x"],
    ["vm", "fork", "open"],
    ["vm", "suspend", "open"],
  ]) {
    const { stderr, exitCode } = await fixture.cli(args);
    assert.ok(exitCode !== 0);
    assert.match(stderr, /SECRET_EXPOSED/, args.join(" "));
  }
  assert.match((await fixture.cli(["vm", "get", "open"])).stdout, /secrets +OPEN \(its value\)/);
  assert.deepEqual((await fixture.client.vms.get("open")).exposedSecrets, ["OPEN"]);
  assert.equal((await fixture.client.vms.get("web")).exposedSecrets, undefined);
});

test("a value that is asked for on a terminal is not shown while it is typed", async () => {
  const child = spawn("script", ["-qec", `${fixture.program} secret set TYPED`, "/dev/null"], {
    env: fixture.env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let shown = "";
  child.stdout.on("data", (bytes: Buffer) => {
    shown += bytes;
    if (shown.includes("not shown") && child.stdin.writable) child.stdin.end(`${VALUE}\r`);
  });
  await new Promise((resolve) => child.once("close", resolve));
  assert.ok(!shown.includes(VALUE), shown);
  assert.match(shown, /TYPED is kept/);
  assert.ok(readFileSync(fixture.paths.database).length > 0);
});
