import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { egressPolicySchema } from "../../src/contract/policy.ts";
import { connect } from "../../src/network/connect.ts";
import { Dialer } from "../../src/network/dial.ts";
import { type ProbedVm, probeEgress } from "../../src/network/probe.ts";
import { createSets } from "../../src/network/sets.ts";
import { compile } from "../support/egress-pair.ts";
import { openOpenedPair } from "../support/opened-pair.ts";
import { openProbeGuest } from "../support/probe-guest.ts";

type Pair = Awaited<ReturnType<typeof openOpenedPair>>;
const pairs: Pair[] = [];
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.close();
});

const RULES = ["web.test:443"];
const REDIRECT = "a redirect to a private address";
const REBINDING = "a name that changes its mind";
const PLAYED = [REDIRECT, REDIRECT, REBINDING, "another name in a request's Host", "another name in TLS (SNI)"];

async function open(more: Parameters<typeof openOpenedPair>[3] = {}): Promise<Pair> {
  const pair = await openOpenedPair(RULES, [], [], more);
  pairs.push(pair);
  return pair;
}

async function probe(pair: Pair, layDecoys: ProbedVm["layDecoys"] = (decoys) => pair.egress.layDecoys(decoys)) {
  const policy = egressPolicySchema.parse({ mode: "allowlist", allow: RULES });
  const findings = await probeEgress(
    { client: openProbeGuest(pair), policy, compiled: compile(policy), sets: createSets([]), layDecoys },
    () => {},
  );
  return findings.filter(({ probe: what }) => PLAYED.includes(what));
}

/** One that has forgotten what it has to check. */
class CarelessDialer extends Dialer {
  override async dial(...[{ name, port, hosts }, signal]: Parameters<Dialer["dial"]>) {
    const address = hosts.get(name) ?? "127.0.0.1";
    return { address, socket: await connect(address, port, name, signal) };
  }
}

test("redirects, names that change their mind and other names in requests lead nowhere", async () => {
  const pair = await open();
  const findings = await probe(pair);
  assert.deepEqual(
    findings.map(({ probe: what, isOut, isExpected }) => [what, isOut, isExpected]),
    PLAYED.map((what) => [what, false, true]),
    JSON.stringify(findings),
  );
  const denied = pair.events().filter(({ verdict, address }) => verdict === "denied" && address !== undefined);
  assert.deepEqual([...new Set(denied.map(({ address }) => address))].sort(), ["127.0.0.1", "::ffff:127.0.0.1"]);
});

test("what the host forgets to check is found", async () => {
  const findings = await probe(await open({ dialer: new CarelessDialer({ env: {} }) }));
  const out = findings.filter(({ isOut }) => isOut);
  assert.deepEqual(
    out.map(({ probe: what, isExpected, detail }) => [what, isExpected, detail]),
    [REDIRECT, REBINDING].map((what) => [what, false, "a service of this host answered"]),
  );
});

test("a probe whose own servers are not reached shows nothing, and says so", async () => {
  const findings = await probe(await open(), () => () => {});
  assert.deepEqual(
    findings.map(({ isOut, isExpected }) => [isOut, isExpected]),
    PLAYED.map(() => [false, false]),
  );
});

test("a probe's names are there as long as it runs, and only for what it does with them", async () => {
  const pair = await open();
  const names: { name: string; port: number }[] = [];
  await probe(pair, (decoys) => {
    names.push(...decoys);
    return pair.egress.layDecoys(decoys);
  });
  const decoys = [{ name: "a.invalid", port: 80, answers: [{ page: "hello" }] }];
  const remove = pair.egress.layDecoys(decoys);
  assert.equal((await pair.connect("a.invalid:80")).status, 200);
  assert.equal((await pair.connect("a.invalid:81")).status, 403);
  pair.egress.setPolicy(compile({ mode: "none" }));
  assert.equal((await pair.connect("a.invalid:80")).status, 403, "what has no network has no decoys");
  pair.egress.setPolicy(compile({ mode: "allowlist", allow: RULES }));
  assert.equal((await pair.connect("a.invalid:80")).status, 200);
  remove();
  names.push(...decoys);
  assert.ok(names.length > PLAYED.length - 1);
  for (const { name, port } of names) {
    assert.equal((await pair.request({ ":method": "GET", ":path": `/v1/names/${name}` })).status, 403);
    assert.equal((await pair.connect(`${name}:${port}`)).status, 403);
  }
});
