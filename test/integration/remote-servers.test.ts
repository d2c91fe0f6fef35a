import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import {
  type CallToolResult,
  Client,
  type ClientOptions,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { referTo } from "../../src/gateway/config/references.ts";
import { type GatewayFixture, openGateway } from "../support/gateway.ts";
import { ERAS } from "../support/mcp-http.ts";
import { serveLegacyUpstream, serveModernUpstream, type Upstream } from "../support/upstreams.ts";
import { waitFor } from "../support/wait-for.ts";

const UPSTREAMS = { "2025-11-25": serveLegacyUpstream, "2026-07-28": serveModernUpstream };
const ASKED: ClientOptions = { capabilities: { elicitation: { form: {} } } };

const textOf = (result: unknown) => {
  const [first] = (result as CallToolResult).content;
  return first?.type === "text" ? first.text : undefined;
};

/** Answers what its user is asked, with a name of its own. */
function answering(client: Client, name: string): string[] {
  const asked: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return { action: "accept", content: { name } };
  });
  return asked;
}

for (const [upstreamEra, serve] of Object.entries(UPSTREAMS))
  for (const { era, options } of ERAS)
    describe(`a client of ${era} and a server elsewhere of ${upstreamEra}`, () => {
      let upstream: Upstream;
      let fixture: GatewayFixture;
      let client: Client;
      before(async () => {
        upstream = await serve();
        fixture = await openGateway(
          { far: { url: upstream.url, headers: { Authorization: `Bearer ${referTo("TOKEN")}` } } },
          (name) => `value of ${name}`,
        );
        client = await fixture.open("far", { ...options, ...ASKED });
      });
      after(async () => {
        await client.close();
        await fixture.close();
        await upstream.close();
      });

      test("the server is listed and called, and gets the secret that its headers name", async () => {
        const server = fixture.gateway.get("far");
        assert.deepEqual(
          [server.kind, server.state, server.protocol?.version, server.implementation?.name],
          ["remote", "running", upstreamEra, "elsewhere"],
        );
        assert.deepEqual(
          (await client.listTools()).tools.map(({ name }) => name),
          ["echo", "slow", "steps", "ask"],
        );
        assert.equal(textOf(await client.callTool({ name: "echo", arguments: { text: "grüße" } })), "grüße");
        assert.ok(upstream.seen.every(({ authorization }) => authorization === "Bearer value of TOKEN"));
        assert.ok(!JSON.stringify(server).includes("value of"));
      });

      test("progress and resources pass", async () => {
        const heard: number[] = [];
        // The SDK's own way loses progress that comes in one piece with the result.
        client.setNotificationHandler("notifications/progress", ({ params }) => void heard.push(params.progress));
        const answer = await client.callTool({ name: "steps", arguments: {} }, { onprogress: () => {} });
        assert.equal(textOf(answer), "done");
        await waitFor(() => heard.length === 3);
        assert.deepEqual(heard, [1, 2, 3]);
        const { contents } = await client.readResource({ uri: "note://one" });
        assert.deepEqual(contents, [{ uri: "note://one", text: "one" }]);
      });

      test("a resource that there is not is one in the client's own terms, whatever the server says", async () => {
        const answers: string[] = [];
        const tapped = new Client({ name: "tapped", version: "0" }, options);
        const transport = new StreamableHTTPClientTransport(fixture.urlOf("far"), {
          fetch: async (url, init) => {
            const response = await fetch(url, init);
            if (init?.method === "POST") answers.push(await response.clone().text());
            return response;
          },
        });
        await tapped.connect(transport);
        /** The error as it was sent: the SDK's client makes one of both. */
        const errorOf = async (uri: string) => {
          await assert.rejects(tapped.readResource({ uri }));
          const body = /\{"jsonrpc".*\}/.exec(answers.at(-1) ?? "")?.[0] ?? "{}";
          const { error } = JSON.parse(body) as { error?: { code: number; data?: unknown } };
          return [error?.code, error?.data];
        };
        const code = era === "2026-07-28" ? -32_602 : -32_002;
        assert.deepEqual(await errorOf("note://none"), [code, { uri: "note://none" }]);
        // What is wrong otherwise is not taken for that.
        assert.deepEqual(await errorOf("note://any/thing"), [-32_602, { name: "wrong" }]);
        await tapped.close();
      });

      test("a call that its client gives up is given up at the server", async () => {
        const aborter = new AbortController();
        const before = upstream.canceled.length;
        const calling = client.callTool({ name: "slow", arguments: {} }, { signal: aborter.signal });
        setTimeout(() => aborter.abort(), 200);
        await assert.rejects(calling);
        await waitFor(() => upstream.canceled.length > before);
      });

      test("what the server asks meanwhile reaches the client whose call it is, with several of several principals", async () => {
        const other = await fixture.open("far", { ...options, ...ASKED }, "other");
        const asked = [answering(client, "Ann"), answering(other, "Bob")];
        const ask = (from: Client, text: string) => from.callTool({ name: "ask", arguments: { text } });
        const answers = await Promise.all([ask(client, "a"), ask(other, "b"), ask(client, "c"), ask(other, "d")]);
        assert.deepEqual(answers.map(textOf), ["hello Ann", "hello Bob", "hello Ann", "hello Bob"]);
        assert.deepEqual(
          asked.map((messages) => messages.sort()),
          [
            ["name for a?", "name for c?"],
            ["name for b?", "name for d?"],
          ],
        );
        await other.close();
      });

      test("a question that comes on a call's own stream is that call's, with several of one principal", async () => {
        const others = [
          await fixture.open("far", { ...options, ...ASKED }),
          await fixture.open("far", { ...options, ...ASKED }),
        ];
        const asked = others.map((other, index) => answering(other, `client ${index}`));
        const ask = (from: Client, text: string) => from.callTool({ name: "ask", arguments: { text } });
        const answers = await Promise.all(
          others.flatMap((other, index) => [ask(other, `own ${index}`), ask(other, `own ${index}`)]),
        );
        assert.deepEqual(answers.map(textOf), ["hello client 0", "hello client 0", "hello client 1", "hello client 1"]);
        assert.deepEqual(
          asked,
          [0, 1].map((index) => Array(2).fill(`name for own ${index}?`)),
        );
        for (const other of others) await other.close();
      });

      test("a tool that the server gets is offered, and called", async () => {
        upstream.grow("grown");
        await waitFor(async () => (await client.listTools()).tools.some(({ name }) => name === "grown"));
        assert.equal(textOf(await client.callTool({ name: "grown", arguments: {} })), "grown");
      });

      test("changes of a resource are told of to who has subscribed", async () => {
        const updated: string[] = [];
        client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
        if (era === "2025-11-25") await client.subscribeResource({ uri: "note://one" });
        else await client.listen({ resourceSubscriptions: ["note://one"] });
        await waitFor(() => {
          upstream.touch("note://one");
          return updated.length > 0;
        });
        assert.equal(updated[0], "note://one");
      });

      test("what is let go of is reached again by the next call", async () => {
        await fixture.gateway.stop("far");
        assert.equal(fixture.gateway.get("far").state, "stopped");
        assert.equal(textOf(await client.callTool({ name: "echo", arguments: { text: "again" } })), "again");
      });
    });

test("a server that has forgotten the session gets a new one, and the call is made once", async (t) => {
  const upstream = await serveLegacyUpstream();
  const fixture = await openGateway({ far: { url: upstream.url } });
  const client = await fixture.open("far");
  t.after(async () => {
    await client.close();
    await fixture.close();
    await upstream.close();
  });
  await client.callTool({ name: "echo", arguments: { text: "one" } });
  upstream.forget();
  const answers = await Promise.all(
    ["a", "b", "c"].map((text) => client.callTool({ name: "echo", arguments: { text } })),
  );
  assert.deepEqual(answers.map(textOf), ["a", "b", "c"]);
  const sessions = new Set(upstream.seen.map((headers) => headers["mcp-session-id"]).filter(Boolean));
  assert.equal(sessions.size, 2);
});

test("a server is reached by the proxy that this host's environment names, and one on this host without it", async (t) => {
  const upstream = await serveLegacyUpstream();
  const asked: string[] = [];
  const proxy = http.createServer((_incoming, outgoing) => void outgoing.writeHead(500).end());
  proxy.on("connect", ({ url }, client: Socket) => {
    asked.push(String(url));
    const onward = net.connect({ host: "127.0.0.1", port: Number(new URL(upstream.url).port) }, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(onward).pipe(client);
    });
    for (const end of [client, onward]) end.on("error", () => {});
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const fixture = await openGateway(
    { far: { url: "http://far.example:8080/mcp" }, near: { url: upstream.url } },
    undefined,
    { env: { HTTPS_PROXY: `http://127.0.0.1:${port}` } },
  );
  t.after(async () => {
    await fixture.close();
    await upstream.close();
    proxy.close();
    proxy.closeAllConnections();
  });
  assert.equal((await fixture.gateway.prepare("near")).tools.length, 4);
  assert.deepEqual(asked, []);
  assert.equal((await fixture.gateway.prepare("far")).tools.length, 4);
  assert.ok(asked.length > 0 && asked.every((place) => place === "far.example:8080"));
});
