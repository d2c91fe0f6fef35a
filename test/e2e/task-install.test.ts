import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { type ConnectProxy, openConnectProxy } from "../support/connect-proxy.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

/** An agent's program is installed for the first task that needs it, from a registry that does not answer. */

let fixture: DaemonFixture;
let registry: http.Server;
let proxy: ConnectProxy;
let asked = 0;
let answer: ((response: http.ServerResponse) => void) | undefined;
before(async () => {
  registry = http.createServer((_request, response) => {
    asked++;
    answer?.(response);
  });
  registry.listen(0, "127.0.0.1");
  await once(registry, "listening");
  proxy = await openConnectProxy({ "registry.test:80": (registry.address() as AddressInfo).port });
  fixture = await startDaemonFixture({ env: { ...proxy.env, npm_config_registry: "http://registry.test/" } });
  await fixture.cli(["secret", "set", "ANTHROPIC_API_KEY", "--host", "api.anthropic.com"], {
    input: "sk-ant-of-no-use",
  });
});
after(async () => {
  await fixture?.close();
  proxy?.close();
  registry?.close();
  registry?.closeAllConnections();
});

const ask = () => fixture.client.tasks.create({ agent: "claude", prompt: "hello" });
const installing = async () =>
  (await fixture.client.vms.list()).filter(({ labels }) => labels["firebreak/agent-build"] === "claude");
const stateOf = async (id: string) => (await fixture.client.tasks.get(id)).state;

test("an installation that nobody waits for any more is given up, and the next task begins it anew", async () => {
  const [first, second] = [await ask(), await ask()];
  await waitFor(() => asked > 0);
  const [vm, ...others] = await installing();
  assert.deepEqual(others, [], "both wait for one");
  await fixture.client.tasks.cancel(first.id);
  await waitFor(async () => (await stateOf(first.id)) === "cancelled");
  assert.deepEqual(
    (await installing()).map(({ id }) => id),
    [vm?.id],
    "one of them still does",
  );
  await fixture.client.tasks.cancel(second.id);
  await waitFor(async () => (await stateOf(second.id)) === "cancelled" && (await installing()).length === 0);
  await waitFor(async () => (await fixture.client.drives.list()).length === 0);
  const before = asked;
  const third = await ask();
  await waitFor(() => asked > before);
  assert.notEqual((await installing())[0]?.id, vm?.id);
  await fixture.client.tasks.cancel(third.id);
  await waitFor(async () => (await installing()).length === 0);
});

test("one that fails says why, in the installer's lines, and what there is to do", async () => {
  answer = (response) => response.writeHead(404, { "content-type": "application/json" }).end('{"error":"not here"}');
  const { exitCode, stderr } = await fixture.cli(["task", "run", "--agent", "claude", "--retries", "0", "hello"]);
  assert.equal(exitCode, 1, stderr);
  const [, shown = ""] = stderr.split(/^(?=task )/m);
  assert.match(shown, /^state {2}failed: @anthropic-ai\/claude-code could not be installed: .*\n {7}npm error/m);
  assert.match(shown, /^hint {3}Its build VM reaches the registries of this host/m);
  assert.doesNotMatch(stderr, /\ufffd/);
});
