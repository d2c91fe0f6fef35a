import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

/** Of a host on its "Internet"; it answers with its own address. */
const SERVER = `
const http = require("node:http");
for (const [address, port] of JSON.parse(process.argv[1]))
  http.createServer((request, response) => response.end(address + " saw " + request.socket.remoteAddress)).listen(port, address, () => console.log("ready"));
`;

export const PUBLIC = "198.51.100.7";
/** One that is nobody's special range, as `PUBLIC` is (RFC 5737); in the namespace it leads to nobody else. */
export const WORLD = "9.200.200.7";
export const PRIVATE = "10.9.9.9";
export const METADATA = "169.254.169.254";
const UPLINK = "203.0.113.2";

/** Two network namespaces: one for a host, with a way out, the other for what is there. */
export interface Internet {
  /** What runs a program on that host. */
  within: string[];
  /** The same beyond its uplink, where 203.0.113.1 is. */
  beyond: string[];
  run: (program: string, ...args: string[]) => string;
  close: () => void;
}

/** A host whose uplink is 203.0.113.2, with a service on 0.0.0.0:8099 of its own; beyond it servers at port 80 and 81 of the addresses above. */
export async function openInternet(): Promise<Internet> {
  const [host, net] = [`fbh${process.pid}`, `fbn${process.pid}`];
  const ip = (...args: string[]) => execFileSync("ip", args);
  const servers: ChildProcess[] = [];
  const close = () => {
    for (const server of servers) server.kill("SIGKILL");
    for (const name of [host, net]) ip("netns", "delete", name);
  };
  ip("netns", "add", host);
  ip("netns", "add", net);
  try {
    for (const name of [host, net]) ip("-n", name, "link", "set", "lo", "up");
    ip("-n", host, "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", net);
    ip("-n", host, "addr", "add", `${UPLINK}/24`, "dev", "up0");
    ip("-n", host, "link", "set", "up0", "up");
    ip("-n", net, "addr", "add", "203.0.113.1/24", "dev", "eth0");
    ip("-n", net, "link", "set", "eth0", "up");
    for (const address of [PUBLIC, WORLD, PRIVATE, METADATA])
      ip("-n", net, "addr", "add", `${address}/32`, "dev", "lo");
    ip("-n", host, "route", "add", "default", "via", "203.0.113.1");
    // A new namespace has this of the machine, which may be a router.
    ip("netns", "exec", host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward");
    const serve = async (name: string, places: [string, number][]) => {
      const args = ["netns", "exec", name, process.execPath, "-e", SERVER, JSON.stringify(places)];
      const server = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
      servers.push(server);
      let ready = 0;
      while (ready < places.length) ready += String(await once(server.stdout, "data")).split("ready").length - 1;
    };
    await serve(
      net,
      [PUBLIC, WORLD, PRIVATE, METADATA].flatMap((address): [string, number][] => [
        [address, 80],
        [address, 81],
      ]),
    );
    await serve(host, [["0.0.0.0", 8099]]);
  } catch (error) {
    close();
    throw error;
  }
  const within = ["ip", "netns", "exec", host];
  return {
    within,
    beyond: ["ip", "netns", "exec", net],
    run: (program, ...args) => execFileSync("ip", [...within.slice(1), program, ...args], { encoding: "utf8" }),
    close,
  };
}

/** Says why at once, instead of failing at the first command. */
export function requireRoot(): void {
  assert.equal(process.getuid?.(), 0, "network namespaces need root");
}
