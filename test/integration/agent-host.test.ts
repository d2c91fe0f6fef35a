import { after, before } from "node:test";
import { testAgentContract } from "../../src/guest/client.contract.ts";
import { startHostAgent } from "../support/host-agent.ts";

let agent: Awaited<ReturnType<typeof startHostAgent>>;
before(async () => {
  agent = await startHostAgent();
});
after(() => agent.close());

testAgentContract("agent on this host", async () => agent);
