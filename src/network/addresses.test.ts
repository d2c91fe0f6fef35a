import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressClass, classifyAddress, isRefused } from "./addresses.ts";

const CASES: [AddressClass, string[]][] = [
  [
    "public",
    [
      "1.1.1.1",
      "140.82.121.4",
      "2606:4700::1111",
      "::ffff:8.8.8.8",
      "64:ff9b::808:808",
      "2002:808:808::1",
      "203.0.113.80",
      "2001:db8::1",
    ],
  ],
  [
    "loopback",
    ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::"],
  ],
  ["private", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12::1", "::ffff:10.0.0.1", "fec0::1", "64:ff9b:1::a00:1"]],
  ["link_local", ["169.254.1.1", "fe80::1", "fe80::1%eth0"]],
  [
    "metadata",
    [
      "169.254.169.254",
      "::ffff:169.254.169.254",
      "fd00:ec2::254",
      "100.100.100.200",
      "168.63.129.16",
      "64:ff9b::a9fe:a9fe",
    ],
  ],
  ["cgnat", ["100.64.0.1", "100.127.255.255"]],
  ["multicast", ["224.0.0.1", "255.255.255.255", "ff02::1"]],
  ["unspecified", ["0.0.0.0", "::", "::ffff:0.0.0.0"]],
  ["reserved", ["240.0.0.1", "not an address", "", "1.2.3", "0x7f.1"]],
  ["benchmark", ["198.18.0.1", "198.19.255.255", "::ffff:198.18.0.1"]],
];

for (const [kind, addresses] of CASES) {
  test(`addresses that are ${kind}`, () => {
    for (const address of addresses) assert.equal(classifyAddress(address), kind, address);
  });
}

test("a Teredo address is what its client's is", () => {
  // 127.0.0.1 inverted.
  assert.equal(classifyAddress("2001:0:53aa:64c:0:0:80ff:fffe"), "loopback");
});

test("only networks of one's own can be opened", () => {
  for (const kind of ["private", "loopback", "cgnat"] as const)
    assert.deepEqual([isRefused(kind, false), isRefused(kind, true)], [true, false], kind);
  for (const kind of ["metadata", "link_local", "multicast", "reserved", "unspecified", "benchmark"] as const)
    assert.deepEqual([isRefused(kind, false), isRefused(kind, true)], [true, true], kind);
  assert.equal(isRefused("public", false), false);
});
