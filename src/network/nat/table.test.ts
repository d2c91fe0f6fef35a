import assert from "node:assert/strict";
import { test } from "node:test";
import { egressPolicySchema } from "../../contract/policy.ts";
import { compileAddresses, parseAddressRule } from "./address-rules.ts";
import { gatewayOf, leaseOf, parseSubnet } from "./lease.ts";
import { parseNameservers } from "./nameservers.ts";
import { writeTable } from "./table.ts";

const subnet = parseSubnet("10.201.0.0/16");
const tableOf = (policy: Record<string, unknown>) =>
  writeTable({
    subnet,
    stations: [
      { lease: leaseOf(subnet, 0), policy: compileAddresses(egressPolicySchema.parse({ mode: "nat", ...policy })) },
    ],
    nameservers: ["192.0.2.53"],
  });
/** The rules of the one VM, in order. */
const rulesOf = (policy: Record<string, unknown>) =>
  (/chain vm_fbt0 \{\n([\s\S]*?) {2}\}/.exec(tableOf(policy))?.[1] ?? "").trim().split(/\n\s+/);

test("a VM's number is its device, address and MAC; no two have the same", () => {
  assert.deepEqual(leaseOf(subnet, 0), { device: "fbt0", address: "10.201.0.2", mac: "0a:fb:00:00:00:02" });
  assert.deepEqual(leaseOf(subnet, 300), { device: "fbt300", address: "10.201.1.46", mac: "0a:fb:00:00:01:2e" });
  assert.equal(gatewayOf(subnet), "10.201.0.1");
  assert.equal(leaseOf(parseSubnet("192.168.7.0/28"), 12).address, "192.168.7.14");
  assert.throws(() => leaseOf(parseSubnet("192.168.7.0/28"), 13), { code: "NETWORK_FULL" });
});

test("only private networks with room are for VMs", () => {
  for (const text of [
    "",
    "10.0.0.0",
    "10.0.0.1/16",
    "8.8.8.0/24",
    "10.0.0.0/30",
    "10.0.0.0/33",
    "0x0a000000/8",
    "::/64",
  ])
    assert.throws(() => parseSubnet(text), { code: "INVALID_ARGUMENT" }, text);
});

test("rules are addresses and ports; what is anything else says why", () => {
  for (const rule of ["203.0.113.7", "203.0.113.0/24:443", "0.0.0.0/0", { host: "10.1.2.3", ports: "5432,8000-8100" }])
    assert.ok(!("why" in parseAddressRule(rule)), JSON.stringify(rule));
  for (const [rule, why] of [
    ["api.github.com", /no IPv4 address/],
    ["registries", /no IPv4 address/],
    ["10.1.2.3/33", /no IPv4 address/],
    ["010.1.2.3", /no IPv4 address/],
    ["2001:db8::1", /no IPv4 address|no port/],
    ["10.1.2.3:0", /ports are from 1/],
    [{ host: "10.1.2.3:80", ports: "80" }, /ports twice/],
    [{ host: "10.1.2.3", private: true }, /need names/],
    [{ host: "10.1.2.3", methods: ["GET"] }, /need names/],
  ] as const) {
    const parsed = parseAddressRule(rule as string);
    assert.match("why" in parsed ? parsed.why : "", why, JSON.stringify(rule));
  }
});

test("deny comes first, metadata is never opened, and private networks only where a rule is of them alone", () => {
  const REFUSE = "reject with icmpx admin-prohibited";
  assert.deepEqual(
    rulesOf({ allow: ["10.9.0.0/16:5432", "0.0.0.0/0:443", "169.254.169.254"], deny: ["203.0.113.0/24"] }).map((rule) =>
      rule.replace(/\{ (?:0\.0\.0\.0\/8|10\.0\.0\.0\/8).*?\}/, (all) =>
        all.includes("169.254") ? "NEVER" : "PRIVATE",
      ),
    ),
    [
      `ip daddr 203.0.113.0/24 ${REFUSE}`,
      "ip daddr 192.0.2.53 meta l4proto { tcp, udp } th dport 53 accept",
      `ip daddr NEVER ${REFUSE}`,
      "ip daddr 10.9.0.0/16 meta l4proto { tcp, udp } th dport { 5432 } accept",
      `ip daddr PRIVATE ${REFUSE}`,
      "meta l4proto { tcp, udp } th dport { 443 } accept",
      "ip daddr 169.254.169.254 accept",
      REFUSE,
    ],
  );
  assert.equal(rulesOf({}).at(-1), "accept");
  assert.equal(rulesOf({ allow: [] }).at(-1), REFUSE);
});

test("what a machine sends with another's address, or as anything but IPv4 and a question for its gateway, goes nowhere", () => {
  const rules = (/chain sources \{\n([\s\S]*?) {2}\}/.exec(tableOf({}))?.[1] ?? "").trim().split(/\n\s+/);
  assert.deepEqual(rules.slice(1), [
    "meta protocol != { ip, arp } drop",
    'iifname . ip saddr != { "fbt0" . 10.201.0.2 } drop',
    'iifname . arp saddr ip != { "fbt0" . 10.201.0.2 } drop',
    "arp daddr ip != 10.201.0.1 drop",
  ]);
});

test("name servers that are this host itself are none for VMs", () => {
  const text = "# a\nnameserver 127.0.0.53\nnameserver ::1\n nameserver 192.0.2.1 \nsearch x\nnameserver 192.0.2.2\n";
  assert.deepEqual(parseNameservers(text), ["192.0.2.1", "192.0.2.2"]);
  assert.deepEqual(parseNameservers("nameserver 127.0.0.1"), []);
});
