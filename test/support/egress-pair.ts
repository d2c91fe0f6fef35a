import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo, type Socket } from "node:net";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type EgressPolicyInput, egressPolicySchema } from "../../src/contract/policy.ts";
import { Dialer } from "../../src/network/dial.ts";
import { EgressLog } from "../../src/network/egress-log.ts";
import { compilePolicy } from "../../src/network/rules.ts";
import { createSets } from "../../src/network/sets.ts";
import { type FlowOpener, VmEgress } from "../../src/network/vm-egress.ts";

const VM = { id: "0123456789ab", name: "web" };

export const compile = (policy: EgressPolicyInput) => compilePolicy(egressPolicySchema.parse(policy), createSets([]));

/** A VM's egress with a plain HTTP/2 client as its guest. */
export async function openEgressPair(
  policy: EgressPolicyInput,
  more: {
    resolve?: (name: string) => Promise<string[]>;
    opener?: (egress: VmEgress, log: EgressLog) => FlowOpener;
    env?: NodeJS.ProcessEnv;
    dialer?: Dialer;
  } = {},
) {
  const events = new Map<number, EgressEvent>();
  const store = { write: () => {}, list: () => [], lastId: () => 0 };
  const log = new EgressLog(store, () => {});
  log.follow((event) => events.set(event.id, structuredClone(event)));
  const egress = new VmEgress({
    vm: VM,
    policy: compile(policy),
    dialer:
      more.dialer ??
      new Dialer({ env: more.env ?? {}, ...(more.resolve === undefined ? {} : { resolve: more.resolve }) }),
    log,
    onUse: () => {},
    ...(more.opener === undefined
      ? {}
      : { opener: async (owner: VmEgress) => more.opener?.(owner, log) as FlowOpener }),
  });
  const server = net.createServer((socket) => {
    const session = http2.performServerHandshake(socket, { settings: { initialWindowSize: 256 * 1024 } });
    session.on("error", () => {});
    session.on("stream", (stream, headers) => egress.handle(stream, headers));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => {});
  const request = async (headers: http2.OutgoingHttpHeaders, body?: string) => {
    const stream = client.request(headers, { endStream: body === undefined && headers[":method"] !== "CONNECT" });
    stream.on("error", () => {});
    if (body !== undefined) stream.end(body);
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    return { stream, status: Number(answer[":status"]) };
  };
  return {
    egress,
    client,
    request,
    /** What has been noted, the oldest first, each as it is now. */
    events: () => [...events.values()],
    connect: (authority: string) => request({ ":method": "CONNECT", ":authority": authority }),
    close: () => {
      client.destroy();
      server.close();
      log.close();
    },
  };
}

/** A TCP server on loopback; what it does with a connection is the test's. */
export async function openUpstream(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

export async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
