import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let daemon: DaemonFixture;
before(async () => {
  daemon = await startDaemonFixture();
});
after(() => daemon.close());

async function get(options: http.RequestOptions) {
  const request = http.get({ path: "/metrics", agent: false, ...options });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return { status: response.statusCode, type: response.headers["content-type"], body: await text(response) };
}

test("figures are there over the socket, and over TCP for who has a key", async () => {
  const { status, type, body } = await get({ socketPath: daemon.paths.socket });
  assert.deepEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  for (const line of body.trimEnd().split("\n"))
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+)$/);
  assert.ok(body.includes('firebreak_vms{state="running"} 0\n'));
  const { key } = await daemon.client.keys.create({ name: "prometheus" });
  const { url } = await daemon.client.listen({ address: "127.0.0.1:0" });
  const { hostname, port } = new URL(url as string);
  assert.equal((await get({ hostname, port })).status, 401);
  const authorised = await get({ hostname, port, headers: { authorization: `Bearer ${key}` } });
  assert.equal(authorised.status, 200);
  assert.ok(authorised.body.includes("process_resident_memory_bytes "));
});
