import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway, type Way } from "../support/mcp-servers/gateway-client.ts";
import { waitFor } from "../support/wait-for.ts";

const SERVER_ERAS = ["legacy", "modern"] as const;

let fixture: DaemonFixture;
let open: OpenClient;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.servers.apply({
    source: "e2e",
    servers: SERVER_ERAS.map((era) => vmServer(era, fixtureProgram(era))),
  });
  open = await serveGateway(fixture);
});
after(() => fixture.close());

const whoami = async (client: Client) =>
  JSON.parse(await callText(client, "whoami")) as { pid: number; cancelled: number; subscribed: string[] };

for (const server of SERVER_ERAS) {
  for (const { era, options } of ERAS) {
    for (const way of ["http", "stdio"] satisfies Way[]) {
      describe(`a ${server} server and a client of revision ${era} over ${way}`, () => {
        let client: Client;
        before(async () => {
          const capabilities = { elicitation: { form: {} } };
          client = await open(server, { ...options, capabilities }, way);
          client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
        });
        after(() => client.close());

        test("the server is presented as what it is, with its own names", async () => {
          assert.equal(client.getNegotiatedProtocolVersion(), era);
          assert.deepEqual(
            [client.getServerVersion()?.name, client.getInstructions()],
            [`fixture-${server}`, "Ask away."],
          );
          const { tools } = await client.listTools();
          assert.ok(tools.some(({ name, description }) => name === "count" && description === "does count"));
        });

        test("calls keep the server's state, and progress comes as it goes", async () => {
          const [first, second] = [await callText(client, "count"), await callText(client, "count")];
          assert.equal(Number(second), Number(first) + 1);
          const heard: string[] = [];
          const onprogress = ({ message }: { message?: string }) => void heard.push(message ?? "");
          assert.equal(await callText(client, "slow", { steps: 3, ms: 20 }, { onprogress }), "slept");
          assert.deepEqual(heard, ["step 1", "step 2", "step 3"]);
        });

        test("a call that is cancelled is cancelled in the server", async () => {
          const { cancelled } = await whoami(client);
          const aborter = new AbortController();
          const call = callText(client, "slow", { steps: 1, ms: 3_600_000 }, { signal: aborter.signal });
          // It is under way when it has been passed on, which another call after it tells.
          await callText(client, "count");
          aborter.abort();
          await assert.rejects(call);
          await waitFor(async () => (await whoami(client)).cancelled === cancelled + 1);
        });

        test("the server asks, the client's user answers, and the call goes on", async () => {
          assert.deepEqual(JSON.parse(await callText(client, "ask")), { action: "accept", content: { name: "Ada" } });
        });

        test("resources, templates, prompts and completion come through", async () => {
          const count = await callText(client, "count");
          const read = async (uri: string) => (await client.readResource({ uri })).contents[0] as { text?: string };
          assert.equal((await read("test://count")).text, count);
          assert.equal((await read("test://item/7")).text, "test://item/7");
          assert.deepEqual(
            (await client.listResources()).resources.map(({ uri }) => uri),
            ["test://count"],
          );
          assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);
          assert.equal((await client.listPrompts()).prompts[0]?.name, "greet");
          const { messages } = await client.getPrompt({ name: "greet", arguments: { name: "Ada" } });
          assert.deepEqual(messages[0]?.content, { type: "text", text: "Hello, Ada" });
          const ref = { type: "ref/prompt" as const, name: "greet" };
          const { completion } = await client.complete({ ref, argument: { name: "name", value: "A" } });
          assert.deepEqual(completion.values, ["Ada", "Alan"]);
        });

        test("a resource's changes reach who has subscribed to them", async () => {
          const uri = "test://count";
          let updates = 0;
          client.setNotificationHandler("notifications/resources/updated", () => void updates++);
          if (era === "2025-11-25") await client.subscribeResource({ uri });
          else await client.listen({ resourceSubscriptions: [uri] });
          await waitFor(async () => (await whoami(client)).subscribed.includes(uri));
          await waitFor(async () => {
            await callText(client, "touch");
            return updates > 0;
          });
        });

        test("the server's log reaches the client whose call it is of, from the level on that it wants", async () => {
          const heard: unknown[] = [];
          client.setNotificationHandler("notifications/message", ({ params }) => void heard.push(params.data));
          const wanted = era === "2025-11-25" ? {} : { _meta: { "io.modelcontextprotocol/logLevel": "debug" } };
          if (era === "2025-11-25") await client.setLoggingLevel("debug");
          await client.callTool({ name: "log", arguments: {}, ...wanted });
          await waitFor(() => heard.length >= 3, 5_000);
          assert.deepEqual(heard, ["a debug", "a info", "a error"]);
        });
      });
    }
  }
}
