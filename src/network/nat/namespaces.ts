import type { NetworkCard } from "../../vmm/driver.ts";
import { runNetworkTool } from "./host-tools.ts";
import type { Lease } from "./lease.ts";
import { joinBridge, namespacePath, removeTap } from "./links.ts";

/** The TAP device in each namespace, and what joins it to the end of the pair there. */
const TAP = "tap";
const JOINT = "joint";
const PORT = "port";

/**
 * A TAP device of the VMM's user in a network namespace, in which there is nothing else: the VMM reaches none of the host's networks by it. What the VM sends comes out
 * at the bridge by one end of a pair, whose other end is in the namespace; rules, addresses and counters are those of that end, as of a TAP device that is at the bridge itself.
 */
export async function addTapWithin(lease: Lease, uid: number): Promise<void> {
  const { device } = lease;
  await removeTap(lease);
  await runNetworkTool("ip", ["netns", "add", device]);
  // Nothing in it speaks for itself.
  await runNetworkTool("ip", ["netns", "exec", device, "sh", "-c", QUIET]);
  await runNetworkTool("ip", ["link", "add", device, "type", "veth", "peer", "name", PORT, "netns", device]);
  await runNetworkTool("ip", ["-n", device, "link", "add", JOINT, "type", "bridge", "mcast_snooping", "0"]);
  await runNetworkTool("ip", ["-n", device, "tuntap", "add", "dev", TAP, "mode", "tap", "user", `${uid}`]);
  for (const link of [PORT, TAP])
    await runNetworkTool("ip", ["-n", device, "link", "set", link, "master", JOINT, "up"]);
  await runNetworkTool("ip", ["-n", device, "link", "set", JOINT, "up"]);
  await joinBridge(lease);
  await runNetworkTool("ip", ["link", "set", device, "up"]);
}

/** A host without IPv6 has nothing to be turned off. */
const QUIET =
  "for each in all default; do file=/proc/sys/net/ipv6/conf/$each/disable_ipv6; [ ! -e $file ] || echo 1 > $file; done";

export function cardWithin({ device }: Lease): NetworkCard {
  return { kind: "tap", device: TAP, namespace: namespacePath(device) };
}
