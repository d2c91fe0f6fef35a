import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import {
  type CallToolResult,
  Client,
  type ClientOptions,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { DaemonClient } from "../../src/client/daemon-client.ts";
import { SocketEndpoint } from "../../src/client/socket-endpoint.ts";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { waitFor } from "../support/wait-for.ts";

const VMS = ["one", "two", "three", "four"];

let fixture: DaemonFixture;
let url: URL;
let key: string;
before(async () => {
  fixture = await startDaemonFixture();
  key = (JSON.parse((await fixture.cli(["key", "create", "mcp", "--json"])).stdout) as { key: string }).key;
  const { address } = await fixture.client.listen({ address: "127.0.0.1:0" });
  assert.equal(address, "127.0.0.1:0");
  url = new URL("/mcp", (await fixture.client.status()).listen?.url);
  await Promise.all(VMS.map((name) => fixture.client.vms.create({ name })));
});
after(() => fixture.close());

const authorized = (name = key) => ({ requestInit: { headers: { authorization: `Bearer ${name}` } } });

async function openClient(options: ClientOptions, transportOptions = authorized()) {
  const client = new Client({ name: "e2e", version: "0" }, options);
  const transport = new StreamableHTTPClientTransport(url, transportOptions);
  await client.connect(transport);
  return { client, transport };
}

const run = async (client: Client, vm: string, command: string, signal?: AbortSignal) => {
  const options = { timeout: 180_000, ...(signal === undefined ? {} : { signal }) };
  const result = (await client.callTool(
    { name: "run_command", arguments: { vm, command } },
    options,
  )) as CallToolResult;
  return (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>;
};

/** Commands of that name in a VM. */
const count = async (vm: string, pattern: string) =>
  (await fixture.client.execs.list(vm)).filter(
    ({ state, argv }) => state === "running" && argv.join(" ").includes(pattern),
  ).length;

for (const { era, options } of ERAS) {
  describe(`over HTTP with an API key, a client of revision ${era}`, () => {
    let client: Client;
    before(async () => {
      ({ client } = await openClient(options));
    });
    after(() => client.close());

    test("runs commands in VMs", async () => {
      assert.equal(client.getNegotiatedProtocolVersion(), era);
      const result = await run(client, "one", "hostname; echo to-stderr >&2; exit 3");
      assert.equal(result.stdout, "one\n");
      assert.equal(result.stderr, "to-stderr\n");
      assert.equal(result.exit_code, 3);
    });

    test("has 64 calls over four VMs answered at once, and a slow one holds none up", async () => {
      const aborter = new AbortController();
      const slow = run(client, "one", "sleep 8101", aborter.signal).catch(() => "cancelled");
      await waitFor(async () => (await count("one", "sleep 8101")) === 1);
      const calls = Array.from({ length: 64 }, (_, index) => run(client, VMS[index % 4] as string, `echo ${index}`));
      const outputs = (await Promise.all(calls)).map(({ stdout }) => stdout);
      assert.deepEqual(
        outputs,
        Array.from({ length: 64 }, (_, index) => `${index}\n`),
      );
      assert.equal(await count("one", "sleep 8101"), 1);
      aborter.abort();
      assert.equal(await slow, "cancelled");
      await waitFor(async () => (await count("one", "sleep 8101")) === 0);
    });

    test("reads files, consoles and outputs as resources", async () => {
      await run(client, "two", "mkdir -p /srv && printf 'line %s\\n' 1 2 3 > /srv/notes");
      const read = async (uri: string) =>
        ((await client.readResource({ uri })).contents[0] as { text: string; _meta?: Record<string, unknown> }) ?? {};
      assert.equal((await read("firebreak://vms/two/files/srv/notes")).text, "line 1\nline 2\nline 3\n");
      assert.equal((await read("firebreak://vms/two/files/srv/notes?offset=7&length=7")).text, "line 2\n");
      const { exec_id: exec } = await run(client, "two", "echo kept; echo too >&2");
      assert.match((await read(`firebreak://vms/two/execs/${exec}/output`)).text, /kept\n/);
      assert.equal(JSON.parse((await read("firebreak://vms/two")).text).state, "running");
      await assert.rejects(read("firebreak://vms/two/files/no/such"), /not found/i);
      await assert.rejects(read("firebreak://vms/two/files/srv"), /director/);
    });

    test("hears of a VM's change and of what its console prints", async () => {
      const uris = ["firebreak://vms/three", "firebreak://vms/three/console"];
      const updated = new Set<string>();
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.add(params.uri));
      if (era === "2025-11-25") for (const uri of uris) await client.subscribeResource({ uri });
      else await client.listen({ resourceSubscriptions: uris });
      await waitFor(async () => {
        await run(client, "three", "echo seen > /dev/console");
        return updated.has("firebreak://vms/three/console");
      });
      assert.match(
        ((await client.readResource({ uri: uris[1] as string })).contents[0] as { text: string }).text,
        /seen/,
      );
      await fixture.client.vms.pause("three");
      await waitFor(() => updated.has("firebreak://vms/three"));
      await fixture.client.vms.resume("three");
      if (era === "2025-11-25") for (const uri of uris) await client.unsubscribeResource({ uri });
    });

    test("that goes away in mid-call takes its command along", async () => {
      const { client: other } = await openClient(options);
      const lost = run(other, "four", "sleep 8102").catch(() => "lost");
      await waitFor(async () => (await count("four", "sleep 8102")) === 1);
      await other.close();
      await lost;
      // A legacy client may come back for its answer for a while.
      await waitFor(async () => (await count("four", "sleep 8102")) === 0);
    });
  });
}

test("who has no key is refused, and a key gives no more than it does elsewhere", async () => {
  await assert.rejects(openClient({}, authorized("fbk_wrong")), /401|API_KEY/);
  const { status } = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(status, 401);
  const hosted = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { host: "evil.example", authorization: `Bearer ${key}`, "content-type": "application/json" };
    const request = http.request(url, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("error", reject);
    request.end("{}");
  });
  assert.equal(hosted, 403);
  // What tools do for this caller, they do as it.
  const [{ id = "", name = "" } = {}] = await fixture.client.keys.list();
  const asCaller = new DaemonClient(new SocketEndpoint(fixture.paths.socket, { onBehalfOf: { id, name } }));
  assert.equal((await asCaller.vms.get("one")).name, "one");
  await assert.rejects(asCaller.keys.list(), { code: "LOCAL_CALLERS_ONLY" });
});

test("a legacy client goes on with its session when the daemon has been killed and another one runs", async () => {
  const { client } = await openClient({});
  await run(client, "one", "echo before > /root/mark");
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  const started = await fixture.cli(["daemon", "start"]);
  assert.equal(started.exitCode, 0, started.stderr);
  // The port is another one when it was chosen by the kernel: the client's next requests go to the one it knows.
  const { listen } = await fixture.client.status();
  assert.ok(listen?.url);
  const { client: other, transport } = await openSession(listen.url, client);
  const result = await run(other, "one", "cat /root/mark");
  assert.equal(result.stdout, "before\n");
  assert.ok(transport.sessionId);
  await other.close();
});

/** A client that was told of the new port, and has kept its session's id. */
async function openSession(base: string, before: Client) {
  const sessionId = (before.transport as StreamableHTTPClientTransport).sessionId as string;
  const client = new Client({ name: "e2e", version: "0" }, {});
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", base), {
    ...authorized(),
    sessionId,
    protocolVersion: "2025-11-25",
  });
  await client.connect(transport);
  return { client, transport };
}
