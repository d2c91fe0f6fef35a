import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { runNetworkTool } from "./host-tools.ts";
import { gatewayOf, type Lease, type Subnet } from "./lease.ts";
import { BRIDGE } from "./table.ts";

/** Locally administered, as those of VMs, of which none begins so. */
const BRIDGE_MAC = "0a:fb:ff:00:00:01";
/** Packets of VMs go on to other networks only where the host is a router. */
const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

interface Link {
  ifname: string;
  address?: string;
  ifalias?: string;
  master?: string;
  flags: string[];
  linkinfo?: {
    info_kind?: string;
    info_data?: { type?: string; user?: number | string };
    info_slave_data?: { isolated?: boolean; learning?: boolean };
  };
}

/** What the bridge and the TAP devices are, where it is not as it should be; empty when all is in order. */
export async function findLinkDrift(leases: readonly Lease[]): Promise<string[]> {
  const links = new Map((await listLinks()).map((link) => [link.ifname, link]));
  const bridge = links.get(BRIDGE);
  const drift: string[] = [];
  if (bridge === undefined) drift.push(`${BRIDGE} is gone`);
  else if (!bridge.flags.includes("UP")) drift.push(`${BRIDGE} is down`);
  for (const { device } of leases) {
    const { master, linkinfo } = links.get(device) ?? {};
    const port = linkinfo?.info_slave_data;
    if (!links.has(device)) drift.push(`${device} is gone`);
    else if (master !== BRIDGE || port?.isolated !== true || port.learning !== false)
      drift.push(`${device} is not cut off from other VMs`);
  }
  if (bridge !== undefined) {
    const neighbours = await listNeighbours();
    for (const { device, address, mac } of leases)
      if (links.has(device) && neighbours.get(address) !== mac)
        drift.push(`the address ${address} is not bound to ${device}`);
  }
  if ((await readForwarding()) !== "1") drift.push("the host does not forward packets");
  return drift;
}

/**
 * Makes the bridge, or finds it. `owner` tells one installation's from another's. Returns whether the host has been made a router for it.
 * Throws NETWORK_IN_USE when the bridge or its addresses are somebody else's.
 */
export async function ensureBridge(subnet: Subnet, owner: string): Promise<{ hasSetForwarding: boolean }> {
  const found = (await listLinks()).find(({ ifname }) => ifname === BRIDGE);
  if (found !== undefined && found.ifalias !== owner)
    throw new FirebreakError("NETWORK_IN_USE", `the bridge ${BRIDGE} is not this installation's`, {
      hint: "Another firebreak on this host has it: tear it down there first (firebreak network teardown), or remove it by hand (ip link delete).",
    });
  if (found === undefined) {
    await requireFree(subnet);
    await runNetworkTool("ip", ["link", "add", BRIDGE, "type", "bridge"]);
  }
  await writeFile(`/proc/sys/net/ipv6/conf/${BRIDGE}/disable_ipv6`, "1").catch(() => {}); // a host without IPv6
  await batch("ip", [
    `link set ${BRIDGE} alias ${owner}`,
    // Otherwise it has that of one of its ports, and another when that VM goes: the others' packets would go nowhere for a while. To set
    // what it has already would make the kernel forget its neighbours, also those that were entered by hand.
    ...(found?.address === BRIDGE_MAC ? [] : [`link set ${BRIDGE} address ${BRIDGE_MAC}`]),
    `addr replace ${gatewayOf(subnet)}/${subnet.bits} dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
  ]);
  const hasSetForwarding = (await readForwarding()) !== "1";
  if (hasSetForwarding) await writeForwarding("1");
  return { hasSetForwarding };
}

/** With it go the TAP devices of VMs. */
export async function removeBridge(owner: string, leases: readonly Lease[], resetsForwarding: boolean): Promise<void> {
  for (const lease of leases) await removeTap(lease);
  const found = (await listLinks()).find(({ ifname }) => ifname === BRIDGE);
  if (found?.ifalias === owner) await runNetworkTool("ip", ["link", "delete", BRIDGE]);
  if (resetsForwarding) await writeForwarding("0");
}

/**
 * A TAP device of the VMM's user at the bridge. Its port learns nothing: a machine that says it is another's address gets none of its packets, and
 * isolated ports reach the bridge itself alone.
 */
export async function addTap(lease: Lease, uid: number): Promise<void> {
  const { device } = lease;
  await removeTap(lease);
  await runNetworkTool("ip", ["tuntap", "add", "dev", device, "mode", "tap", "user", `${uid}`]);
  await joinBridge(lease);
  await runNetworkTool("ip", ["link", "set", device, "up"]);
}

/** Puts a device that is there back to the bridge, with what its port must be. */
export async function joinBridge({ device, address, mac }: Lease): Promise<void> {
  await batch("ip", [
    `link set ${device} master ${BRIDGE}`,
    `neigh replace ${address} lladdr ${mac} dev ${BRIDGE} nud permanent`,
  ]);
  await batch("bridge", [
    `link set dev ${device} isolated on learning off flood off mcast_flood off`,
    `fdb replace ${mac} dev ${device} master static`,
  ]);
}

/** The network namespace of a device's VMM, where it has one: named as the device, as no two VMs of a host share one, since its bridge is one installation's. */
export const namespacePath = (device: string) => `/run/netns/${device}`;

/** With it goes what its address was bound to, and the namespace of its other end. Does nothing when it is gone. */
export async function removeTap({ device, address }: Lease): Promise<void> {
  const devices = await listDevices();
  if (devices.has(device)) await runNetworkTool("ip", ["link", "delete", device]);
  if (existsSync(namespacePath(device))) await runNetworkTool("ip", ["netns", "delete", device]);
  if (devices.has(BRIDGE) && (await listNeighbours()).has(address))
    await runNetworkTool("ip", ["neigh", "del", address, "dev", BRIDGE]);
}

/** The names of all of this host's. */
export async function listDevices(): Promise<Set<string>> {
  return new Set((await listLinks()).map(({ ifname }) => ifname));
}

/** Throws NETWORK_IN_USE when the host has a route to a part of it: one of both would lead nowhere. */
async function requireFree(subnet: Subnet): Promise<void> {
  const { stdout } = await runNetworkTool("ip", ["-j", "route", "show", "root", subnet.text]);
  const inside = (JSON.parse(stdout || "[]") as { dst?: string; dev?: string }[]).find(({ dev }) => dev !== BRIDGE);
  const { stdout: around } = await runNetworkTool("ip", ["-j", "route", "show", "match", subnet.text]);
  const outside = (JSON.parse(around || "[]") as { dst?: string; dev?: string }[]).find(
    ({ dst, dev }) => dst !== "default" && dev !== BRIDGE,
  );
  const other = inside ?? outside;
  if (other === undefined) return;
  throw new FirebreakError("NETWORK_IN_USE", `this host has a route to ${other.dst} (${other.dev}) already`, {
    hint: "Give VMs another network: firebreak network setup --subnet 10.202.0.0/16",
  });
}

async function listLinks(): Promise<Link[]> {
  const { stdout } = await runNetworkTool("ip", ["-j", "-d", "link", "show"]);
  return JSON.parse(stdout || "[]") as Link[];
}

/** Of the bridge: what was entered by hand, MAC by address. */
async function listNeighbours(): Promise<Map<string, string>> {
  const { stdout } = await runNetworkTool("ip", ["-j", "neigh", "show", "dev", BRIDGE, "nud", "permanent"]);
  const found = JSON.parse(stdout || "[]") as { dst: string; lladdr?: string }[];
  return new Map(found.map(({ dst, lladdr = "" }) => [dst, lladdr]));
}

async function batch(program: "ip" | "bridge", commands: readonly string[]): Promise<void> {
  await runNetworkTool(program, ["-batch", "-"], `${commands.join("\n")}\n`);
}

async function readForwarding(): Promise<string> {
  return (await readFile(FORWARDING, "utf8")).trim();
}

async function writeForwarding(value: "0" | "1"): Promise<void> {
  await writeFile(FORWARDING, value).catch((error: unknown) => {
    throw new FirebreakError("NETWORK_SETUP_FAILED", `${FORWARDING} cannot be written`, { cause: error });
  });
}
