import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { confirmed, ERAS, openMcpClient } from "../support/mcp-client.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";
import { waitFor } from "../support/wait-for.ts";

/** What is told of ways out and secrets, and how it is asked for: the command line's followers, grants for a host, and MCP. */

const VALUE = "ghp_real-Value-4711-abcdefghij";
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-views-"));
let fixture: DaemonFixture;
let api: Awaited<ReturnType<typeof openTlsUpstream>>;
let other: Awaited<ReturnType<typeof openTlsUpstream>>;
let policyFile: string;

before(async () => {
  const caFile = path.join(folder, "host-ca.pem");
  writeFileSync(caFile, await hostAuthority.certificate());
  api = await openTlsUpstream("api.test");
  other = await openTlsUpstream("other.test");
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  const allow = [
    { host: "api.test", ports: String(api.port), private: true },
    { host: "other.test", ports: String(other.port), private: true },
  ];
  const hosts = { "api.test": "127.0.0.1", "other.test": "127.0.0.1" };
  policyFile = path.join(folder, "policy.json");
  writeFileSync(policyFile, JSON.stringify({ mode: "allowlist", allow, hosts }));
  const set = ["secret", "set", "TOKEN", "--from-env", "MY_TOKEN", "--host", `api.test:${api.port}`];
  const { exitCode, stderr } = await fixture.cli(set, { env: { MY_TOKEN: VALUE } });
  assert.equal(exitCode, 0, stderr);
});
after(async () => {
  for (const server of [api, other]) server?.close();
  await fixture?.close();
  rmSync(folder, { recursive: true });
});

const sh = (vm: string, script: string) => fixture.cli(["vm", "exec", vm, "--", "bash", "-c", script]);
const ask = (vm: string, host: string, port: number, more = "") =>
  sh(vm, `curl -sS -m 60 ${more} -H "Authorization: Bearer $TOKEN" https://${host}:${port}/`);

test("--secret NAME@HOST: the value goes to that host, and not to those of the secret", async () => {
  const grant = `TOKEN@other.test:${other.port}`;
  await fixture.ok("vm", "create", "narrow", "--policy", policyFile, "--secret", grant);
  const got = await ask("narrow", "other.test", other.port);
  assert.equal(got.exitCode, 0, got.stderr);
  assert.equal(other.received.at(-1)?.headers.authorization, `Bearer ${VALUE}`);
  // Its connection is not opened: the certificate is the host's own, which the VM does not know.
  assert.equal((await ask("narrow", "api.test", api.port)).exitCode, 60);
  assert.equal((await ask("narrow", "api.test", api.port, "-k")).exitCode, 0);
  const arrived = String(api.received.at(-1)?.headers.authorization);
  assert.ok(arrived.startsWith("Bearer ") && !arrived.includes(VALUE));
  assert.equal(arrived, `Bearer ${(await sh("narrow", "echo $TOKEN")).stdout.trim()}`);
  for (const bad of ["TOKEN@", "TOKEN@10.0.0.1", "@api.test", "TO KEN@api.test"]) {
    const { exitCode, stderr } = await fixture.cli(["vm", "create", "none", "--secret", bad]);
    assert.equal(exitCode, 2, bad);
    assert.match(stderr, /INVALID_ARGUMENT|SECRET_INVALID|POLICY_INVALID/, bad);
  }
});

test("egress log --follow --json: a line for each event as it happens, of one VM or all, from a number on", async () => {
  await fixture.ok("vm", "create", "web", "--policy", policyFile, "--secret", "TOKEN");
  await fixture.ok("vm", "create", "quiet", "--policy", policyFile);
  const { events: before } = await fixture.json<{ events: EgressEvent[] }>("egress", "log");
  const after = String(before.at(-1)?.id ?? 0);
  const followers = [
    ["web", "--after", after],
    ["--after", after],
  ].map((args) => {
    const child = spawn(fixture.program, ["egress", "log", ...args, "--follow", "--json"], { env: fixture.env });
    const lines: EgressEvent[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line) as EgressEvent));
    return { child, lines };
  });
  const [one, all] = followers as [(typeof followers)[0], (typeof followers)[0]];
  try {
    assert.equal((await ask("web", "api.test", api.port)).exitCode, 0);
    await sh("web", "curl -sS -m 60 http://denied.test/; true");
    await sh("quiet", "curl -sS -m 60 http://quiet.test/; true");
    const ends = ({ lines }: typeof one) =>
      lines.filter(({ name, state }) => name === "api.test" && state === "closed").length;
    await waitFor(() => [one, all].every((each) => ends(each) > 0));
    await waitFor(() => all.lines.some(({ name }) => name === "quiet.test"));
    const states = one.lines.filter(({ name, port }) => name === "api.test" && port === api.port);
    // A connection is told of when it begins and when it has ended, by the same number.
    assert.deepEqual(states.map(({ state, verdict }) => `${verdict} ${state}`).slice(0, 2), [
      "allowed open",
      "allowed closed",
    ]);
    assert.equal(states[0]?.id, states[1]?.id);
    assert.ok((states[1]?.receivedBytes ?? 0) > 0);
    const denied = one.lines.find(({ name }) => name === "denied.test");
    assert.deepEqual([denied?.protocol, denied?.verdict], ["dns", "denied"]);
    assert.match(denied?.why ?? "", /no rule of the policy allows denied\.test/);
    assert.ok(one.lines.every(({ vm }) => vm.name === "web"));
    assert.ok(all.lines.some(({ vm }) => vm.name === "web"));
    assert.ok(!JSON.stringify(all.lines).includes(VALUE));
  } finally {
    for (const { child } of followers) child.kill();
  }
});

for (const { era, vm, options } of ERAS)
  test(`over MCP, ${era}: a policy is shown and changed, what was tried is read, a VM is probed, a secret is deleted`, async () => {
    const { call, close } = await openMcpClient(fixture, options);
    try {
      await fixture.ok("vm", "create", vm, "--network", "none");
      const shown = await call("vm_policy_get", { vm });
      assert.deepEqual([shown.isError, shown.data.vm], [false, vm], shown.text);
      assert.match((shown.data.network as string[]).join("\n"), /none|nothing/);
      const change = { vm, allow: ["one.example"], deny: ["two.example"] };
      const refused = await call("vm_policy_set", change);
      assert.deepEqual([refused.isError, refused.data.code], [true, "CONFIRMATION_REQUIRED"], refused.text);
      const changed = await confirmed(call, "vm_policy_set", change);
      assert.equal(changed.isError, false, changed.text);
      assert.match(
        (changed.data.network as string[]).join("\n"),
        /one\.example[\s\S]*two\.example|two\.example[\s\S]*one/,
      );
      assert.equal((await fixture.client.vms.get(vm)).network.mode, "allowlist");
      const wrong = await confirmed(call, "vm_policy_set", { vm, allow: ["127.1"] });
      assert.deepEqual([wrong.isError, wrong.data.code], [true, "POLICY_INVALID"], wrong.text);
      await sh(vm, "curl -sS -m 60 http://three.example/; true");
      const log = async (args: object) =>
        (await call("egress_log", { vm, ...args })).data as { events: Record<string, unknown>[]; next_index: number };
      await waitFor(async () => (await log({})).events.some(({ name }) => name === "three.example"));
      const { next_index } = await log({});
      assert.deepEqual((await log({ after_index: next_index })).events, []);
      const probed = await call("vm_probe", { vm });
      assert.deepEqual([probed.isError, probed.data.vm], [false, vm], probed.text);
      const findings = probed.data.findings as { got_out: boolean; as_expected: boolean; target: string }[];
      assert.ok(findings.length >= 12);
      // one.example is nobody's, so that the probe cannot reach what it may.
      assert.deepEqual(
        findings.filter(({ got_out }) => got_out),
        [],
      );
      const closed = await call("vm_policy_set", { vm, mode: "none" });
      assert.equal(closed.isError, false, closed.text);
      const name = `${vm.toUpperCase()}_TOKEN`;
      const set = ["secret", "set", name, "--from-env", "MY_TOKEN", "--host", "api.test"];
      await fixture.cli(set, { env: { MY_TOKEN: VALUE } });
      const listed = await call("secret_list", {});
      assert.ok(
        (listed.data.secrets as { secret: string }[]).some(({ secret }) => secret === name),
        listed.text,
      );
      assert.ok(!JSON.stringify([listed.data, listed.text]).includes(VALUE));
      const asked = await call("secret_delete", { secret: name });
      assert.deepEqual([asked.isError, asked.data.code], [true, "CONFIRMATION_REQUIRED"], asked.text);
      assert.equal((await confirmed(call, "secret_delete", { secret: name })).isError, false);
      assert.ok(!(await fixture.client.secrets.list()).some((secret) => secret.name === name));
    } finally {
      await close();
    }
  });
