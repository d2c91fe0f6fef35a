import type { Client } from "@modelcontextprotocol/client";
import type { DaemonFixture } from "../test/support/daemon-fixture.ts";
import type { ERAS } from "../test/support/mcp-http.ts";

const CALL_MS = 120_000;

/** A gateway with the echo server in VMs, and how it is reached. */
export interface GatewaySetting {
  fixture: DaemonFixture;
  /** An SDK's client on loopback, of one server's own endpoint; of the older revisions unless something else is said. */
  connect: (server: string, era?: (typeof ERAS)[number]) => Promise<Client>;
}

/** Calls the echo server's tool. */
export async function call(mcp: Client): Promise<void> {
  await mcp.callTool({ name: "echo", arguments: {} }, { timeout: CALL_MS });
}
