import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { test } from "node:test";
import { type AgentFixture, type Contract, exec, sh } from "../../test/support/guest-contract.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { testConnectContract } from "./connect.contract.ts";
import { testExecContract } from "./exec.contract.ts";
import { testFileContract } from "./files.contract.ts";
import { GUEST_FEATURES, type PersonaliseValues } from "./protocol.ts";

/** The promises of docs/guest-protocol.md, against any real agent: on this host, or in a VM. */
export function testAgentContract(name: string, openFixture: () => Promise<AgentFixture>): void {
  const contract: Contract = (what, work) => void test(`${name}: ${what}`, async () => work(await openFixture()));

  contract("says hello and its generation", async ({ client }) => {
    const hello = await client.hello();
    assert.equal(hello.generation, 1);
    assert.match(hello.agentVersion, /^\d+\.\d+/);
  });

  contract("names what it can do besides", async ({ client }) => {
    const { features } = await client.hello();
    for (const feature of Object.values(GUEST_FEATURES)) assert.ok(features.includes(feature), feature);
  });

  contract("is made a machine of its own, again and again", async ({ client }) => {
    for (const round of ["one", "two"]) {
      await client.personalise({
        hostname: `contract-${round}`,
        wallClockMs: Date.now(),
        entropyBase64: randomBytes(64).toString("base64"),
        machineId: randomBytes(16).toString("hex"),
        bootId: randomUUID(),
        env: { ROUND: round, [`SEEN_${round}`]: "yes" },
      });
    }
    const result = await exec(client, sh('echo "$ROUND $SEEN_one $SEEN_two"'));
    assert.equal(String(result.stdout), "two yes yes\n");
  });

  contract("refuses values that mean nothing, and then changes nothing", async ({ client }) => {
    const refused: Record<string, unknown>[] = [
      { bootId: "no uuid" },
      { bootId: randomUUID().toUpperCase() },
      { overlayBytes: 0 },
      { overlayBytes: -1 },
      { overlayBytes: "1" },
      { overlayBytes: 1.5 },
      { isNewMachine: "yes" },
      { entropyBase64: randomBytes(31).toString("base64") },
      { machineId: "x" },
      { hostname: "a b" },
      { wallClockMs: Number.MAX_SAFE_INTEGER },
    ];
    for (const values of refused) {
      const request = client.personalise({ ...values, env: { REFUSED: "1" } } as PersonaliseValues);
      await assert.rejects(request, hasCode("INVALID_ARGUMENT"), JSON.stringify(values));
    }
    assert.equal(String((await exec(client, sh('echo "$REFUSED"'))).stdout), "\n");
  });

  contract("tells what it uses", async ({ client }) => {
    const stats = await client.stats();
    assert.ok(stats.memory.totalBytes > 0 && stats.disk.totalBytes > 0 && stats.agentRssBytes > 0);
  });

  contract("drives are asked for by plain serials and mounted at plain places only", async ({ client }) => {
    assert.ok((await client.hello()).features.includes("drives"));
    const refused = hasCode("DRIVE_MOUNT_FAILED");
    for (const serial of ["../sda", "A", "x".repeat(37), " "]) {
      await assert.rejects(client.driveAttach(serial, {}), refused, serial);
      await assert.rejects(client.driveDetach(serial, true), refused, serial);
      await assert.rejects(client.driveGrow(serial, 1), refused, serial);
    }
    for (const place of ["/", "/proc/x", "/dev/shm", "relative", "/mnt/../etc", "/a\0b", `/${"x".repeat(5000)}`])
      await assert.rejects(client.driveAttach("d-1", { path: place }), refused, place.slice(0, 20));
    // One that is not there has been let go of.
    await client.driveDetach("d-1", false);
  });

  testExecContract(contract);
  testFileContract(contract);
  testConnectContract(contract);
}
