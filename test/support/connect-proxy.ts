import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";

/**
 * What stands for the Internet: a proxy on loopback, which the daemon takes since its environment names it. So names need not be resolved, and all that
 * the daemon has let out is seen.
 */
export interface ConnectProxy {
  /** What has the daemon use it. */
  env: Record<string, string>;
  /** `name:port` of each connection that was asked for. */
  asked: string[];
  close: () => void;
}

/** `places` are ports of loopback, by `name:port`; all others are refused. */
export async function openConnectProxy(places: Record<string, number>): Promise<ConnectProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = http.createServer((_request, response) => response.writeHead(405).end());
  proxy.on("connect", ({ url = "" }: http.IncomingMessage, client: Socket, head: Buffer) => {
    asked.push(url);
    const port = places[url];
    client.on("error", () => {});
    if (port === undefined) return void client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    const target = net.connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      target.write(head);
      client.pipe(target).pipe(client);
    });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    target.on("error", () => client.destroy());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    env: { http_proxy: url, https_proxy: url, no_proxy: "" },
    asked,
    close: () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}
