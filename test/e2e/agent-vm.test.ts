import net from "node:net";
import path from "node:path";
import { after, before } from "node:test";
import { testAgentContract } from "../../src/guest/client.contract.ts";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection } from "../../src/guest/connection.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let fixture: DaemonFixture;
let connection: GuestConnection;
let client: GuestClient;
before(async () => {
  fixture = await startDaemonFixture();
  const vm = await fixture.client.vms.create({ name: "contract" });
  // The daemon lets go of the channel: this test is the host now, on the same socket.
  await fixture.client.shutdown();
  const socketPath = path.join(fixture.paths.runtime, "v", vm.id, "control");
  connection = new GuestConnection({ open: () => open(socketPath), attachDeadlineMs: 10_000 });
  client = new GuestClient(connection);
});
after(async () => {
  connection.close();
  await fixture.cli(["daemon", "start"]);
  await fixture.close();
});

function open(socketPath: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

testAgentContract("agent in a VM", async () => ({ client, scratch: "/root/contract" }));
