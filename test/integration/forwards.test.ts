import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { forwardCreateSchema } from "../../src/contract/forward.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { MAX_CONNECTIONS_PER_FORWARD } from "../../src/forwards/forward-port.ts";
import { ForwardService } from "../../src/forwards/service.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

const RETRY_MS = 50;

let service: ReturnType<typeof openVmService>;
let forwards: ForwardService;
let unwatch: () => void;
const servers: net.Server[] = [];
beforeEach(() => {
  service = openVmService();
  openForwards();
});
afterEach(async () => {
  unwatch();
  await forwards.close();
  for (const server of servers.splice(0)) server.close();
  await service.close();
});

/** As a daemon's start wires it. */
function openForwards(): void {
  const options = { store: service.forwardStore, vms: service.vms, log: () => {}, retryMs: RETRY_MS };
  forwards = new ForwardService(options);
  unwatch = service.store.onChange((vmId) => void forwards.vmChanged(vmId));
}

/** What a daemon that was killed and started again does. */
async function restart(): Promise<void> {
  unwatch();
  await forwards.close();
  await service.restart();
  openForwards();
  await forwards.recover();
}

/** The fake VM's guest is this host: what listens here listens in it. */
async function listenInGuest(onConnection: (socket: Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as net.AddressInfo).port;
}

const echo = (socket: Socket) => void socket.pipe(socket);
const create = (vm: string, guestPort: number, more: object = {}) =>
  forwards.create(vm, forwardCreateSchema.parse({ guestPort, ...more }));

async function connect(port: number): Promise<Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function ask(port: number, question: string): Promise<string> {
  const socket = await connect(port);
  socket.end(question);
  return String(await readAll(socket));
}

test("a forward carries bytes both ways, counts them, and is gone when it is deleted", async () => {
  await service.create("web");
  const forward = await create("web", await listenInGuest(echo));
  assert.deepEqual([forward.state, forward.hostAddress, forward.warning], ["listening", "127.0.0.1", undefined]);
  const sent = randomBytes(2 * 1024 * 1024);
  const socket = await connect(forward.hostPort);
  socket.end(sent);
  assert.ok((await readAll(socket)).equals(sent));
  await waitFor(() => forwards.get(forward.id).connections.open === 0);
  const { bytes, connections } = forwards.get(forward.id);
  assert.deepEqual([bytes.toGuest, bytes.fromGuest], [sent.length, sent.length]);
  assert.deepEqual([connections.total, connections.refused], [1, 0]);
  await forwards.delete(forward.id);
  await assert.rejects(connect(forward.hostPort), { code: "ECONNREFUSED" });
  assert.deepEqual(forwards.list(), []);
  await assert.rejects(forwards.delete(forward.id), hasCode("FORWARD_NOT_FOUND"));
});

test("each direction ends by itself", async () => {
  await service.create("web");
  const speaksFirst = await listenInGuest((socket) => {
    socket.end("hello");
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.on("end", () => ended.resolve(bytes));
  });
  const ended = Promise.withResolvers<number>();
  const { hostPort } = await create("web", speaksFirst);
  const socket = net.connect({ port: hostPort, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(socket, "end");
  assert.equal(text, "hello");
  socket.end(Buffer.alloc(500_000));
  assert.equal(await ended.promise, 500_000);
});

test("a hundred connections at once are served, and more than there may be are turned away", async () => {
  await service.create("web");
  const forward = await create("web", await listenInGuest(echo));
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(forward.hostPort, `n${index}`)));
  assert.deepEqual(
    answers,
    Array.from({ length: 100 }, (_, index) => `n${index}`),
  );
  await waitFor(() => forwards.get(forward.id).connections.open === 0);
  const open = await Promise.all(Array.from({ length: MAX_CONNECTIONS_PER_FORWARD }, () => connect(forward.hostPort)));
  await waitFor(() => forwards.get(forward.id).connections.open === MAX_CONNECTIONS_PER_FORWARD);
  await assert.rejects(ask(forward.hostPort, "?"), { code: "ECONNRESET" });
  assert.equal(forwards.get(forward.id).notice?.code, "CONNECTION_LIMIT");
  for (const socket of open) socket.destroy();
  await waitFor(() => forwards.get(forward.id).connections.open === 0);
  assert.equal(await ask(forward.hostPort, "again"), "again");
  assert.equal(forwards.get(forward.id).notice, undefined);
});

test("where nobody listens in the VM a connection is closed at once, and that is told", async () => {
  await service.create("web");
  const port = await listenInGuest(echo);
  servers.pop()?.close();
  const forward = await create("web", port);
  await assert.rejects(ask(forward.hostPort, "?"), { code: "ECONNRESET" });
  const { notice, connections, state } = forwards.get(forward.id);
  assert.deepEqual([notice?.code, state, connections.refused], ["CONNECTION_REFUSED", "listening", 1]);
  assert.match(notice?.message ?? "", new RegExp(`nothing listens on 127\\.0\\.0\\.1:${port}`));
});

test("a port that is taken is refused by name, by another program or by another forward, and nothing is left of it", async () => {
  await service.create("web");
  const guestPort = await listenInGuest(echo);
  await assert.rejects(create("web", 80, { hostPort: guestPort }), hasCode("PORT_IN_USE"));
  await assert.rejects(create("web", 80, { hostAddress: "203.0.113.1" }), hasCode("HOST_ADDRESS_UNAVAILABLE"));
  await assert.rejects(create("nope", 80), hasCode("VM_NOT_FOUND"));
  const { hostPort, id } = await create("web", guestPort);
  await service.vms.stop("web", 100);
  await waitFor(() => forwards.get(id).state === "inactive");
  // Nobody listens there now, but the port is promised.
  await service.create("other");
  await assert.rejects(create("other", 80, { hostPort }), (error: unknown) => {
    return hasCode("PORT_IN_USE")(error) && (error as Error).message.includes(id);
  });
  assert.equal(forwards.list().length, 1);
  await assert.rejects(connect(hostPort), { code: "ECONNREFUSED" });
});

test("of two that ask for one port at once one gets it", async () => {
  await service.create("web");
  const { hostPort, id } = await create("web", 80);
  await forwards.delete(id);
  const both = await Promise.allSettled([create("web", 80, { hostPort }), create("web", 81, { hostPort })]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.equal(forwards.list().length, 1);
});

test("another address than a loopback one comes with a warning", async () => {
  await service.create("web");
  const forward = await create("web", 80, { hostAddress: "0.0.0.0" });
  assert.match(forward.warning ?? "", /over the network/);
  assert.equal((await create("web", 80, { hostAddress: "127.0.0.2" })).warning, undefined);
});

test("a forward follows its VM through stop and start, on its port, and goes with its deletion", async () => {
  await service.create("web");
  const { id, hostPort } = await create("web", await listenInGuest(echo));
  await service.vms.stop("web", 100);
  await waitFor(() => forwards.get(id).state === "inactive");
  assert.equal(forwards.get(id).reason, "the VM is stopped");
  await assert.rejects(connect(hostPort), { code: "ECONNREFUSED" });
  await service.vms.start("web");
  await waitFor(() => forwards.get(id).state === "listening");
  assert.equal(await ask(hostPort, "back"), "back");
  await service.vms.delete("web");
  await assert.rejects(async () => forwards.get(id), hasCode("FORWARD_NOT_FOUND"));
  await waitFor(() =>
    connect(hostPort).then(
      (socket) => {
        socket.destroy();
        return false;
      },
      () => true,
    ),
  );
});

test("a connection brings a suspended VM back; one that is idle does not keep it, one that flows does", async () => {
  await service.create("web", { idleTimeoutMs: 1_000 });
  const { id, hostPort } = await create("web", await listenInGuest(echo));
  await service.vms.suspend("web");
  assert.equal(forwards.get(id).state, "listening");
  assert.equal(await ask(hostPort, "wake up"), "wake up");
  assert.equal(service.vms.get("web").state, "running");
  // Bytes flow for longer than the idle timeout.
  const socket = await connect(hostPort);
  for (let turn = 0; turn < 15; turn++) {
    socket.write("x");
    await once(socket, "data");
    await sleep(100);
    assert.equal(service.vms.get("web").state, "running");
  }
  // It stays open and says nothing: the VM is suspended, and its client hears of it.
  const cut = once(socket, "close").catch(() => {});
  socket.on("error", () => {}).resume();
  await waitFor(() => service.vms.get("web").state === "suspended");
  await cut;
});

test("a new daemon listens on the same ports; one taken meanwhile is told by name, and taken up once it is free", async () => {
  await service.create("web");
  const guestPort = await listenInGuest(echo);
  const first = await create("web", guestPort);
  const second = await create("web", guestPort);
  await restart();
  assert.equal(await ask(first.hostPort, "again"), "again");
  unwatch();
  await forwards.close();
  const thief = net.createServer().listen(second.hostPort, "127.0.0.1");
  await once(thief, "listening");
  openForwards();
  await forwards.recover();
  assert.equal(forwards.get(first.id).state, "listening");
  const { state, reason } = forwards.get(second.id);
  assert.equal(state, "failed");
  assert.match(reason ?? "", new RegExp(`port ${second.hostPort}`));
  await new Promise((resolve) => thief.close(resolve));
  await waitFor(() => forwards.get(second.id).state === "listening");
  assert.equal(await ask(second.hostPort, "mine"), "mine");
});

test("a VM is published with its making: a port that is taken costs no VM, a VM that fails keeps no port", async () => {
  const guestPort = await listenInGuest(echo);
  const publish = [forwardCreateSchema.parse({ guestPort }), forwardCreateSchema.parse({ guestPort })];
  const vm = await forwards.publish(publish, () => service.create("web"));
  const [one, two] = forwards.list(vm.id);
  assert.ok(one !== undefined && two !== undefined);
  assert.equal(await ask(two.hostPort, "hi"), "hi");
  const taken = [...publish, forwardCreateSchema.parse({ guestPort, hostPort: one.hostPort })];
  await assert.rejects(
    forwards.publish(taken, () => service.create("late")),
    hasCode("PORT_IN_USE"),
  );
  assert.deepEqual(
    service.vms.list().map(({ name }) => name),
    ["web"],
  );
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  const { hostPort } = two;
  await forwards.delete(two.id);
  const again = [forwardCreateSchema.parse({ guestPort, hostPort })];
  await assert.rejects(
    forwards.publish(again, () => service.create("bad")),
    hasCode("VMM_START_FAILED"),
  );
  await assert.rejects(connect(hostPort), { code: "ECONNREFUSED" });
});

test("a client that resets, leaves early or does not read, and a guest that does, leave nothing behind", async () => {
  await service.create("web");
  const flood = await listenInGuest((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
    };
    socket.on("drain", more);
    more();
  });
  const { id, hostPort } = await create("web", flood);
  const before = process.memoryUsage().rss;
  // They do not read: the flood stops at the windows.
  const lazy = await Promise.all(Array.from({ length: 10 }, () => connect(hostPort)));
  await sleep(500);
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
  for (const [index, socket] of lazy.entries()) index % 2 ? socket.resetAndDestroy() : socket.destroy();
  for (let index = 0; index < 50; index++) (await connect(hostPort)).on("error", () => {}).resetAndDestroy();
  await waitFor(() => forwards.get(id).connections.open === 0);
  const reset = await create("web", await listenInGuest((socket) => void socket.resetAndDestroy()));
  await assert.rejects(ask(reset.hostPort, "?"), { code: "ECONNRESET" });
  await waitFor(() => forwards.get(reset.id).connections.open === 0);
  const deaf = await create("web", await listenInGuest(() => {}));
  const client = await connect(deaf.hostPort);
  const cut = new Promise((resolve) => client.once("close", resolve));
  client.on("error", () => {}).resume();
  while (client.write(Buffer.alloc(65_536)));
  await sleep(100);
  await forwards.delete(deaf.id);
  await cut;
});
