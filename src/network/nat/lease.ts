import ipaddr from "ipaddr.js";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** What VMs with a network card get their addresses of, unless `network setup --subnet` says otherwise. */
export const DEFAULT_SUBNET = "10.201.0.0/16";
/** Fewer hosts than these bits leave are no network for VMs. */
const MAX_BITS = 28;
const MIN_BITS = 8;

/** Addresses of VMs: the first one is the bridge's. */
export interface Subnet {
  first: number;
  bits: number;
  text: string;
}

/** What a VM's network card has: by its number, which no two VMs share. */
export interface Lease {
  /** The TAP device, at most 15 bytes. */
  device: string;
  address: string;
  mac: string;
}

/** Throws INVALID_ARGUMENT for what is no private IPv4 network that has room for VMs. */
export function parseSubnet(text: string): Subnet {
  const [, address = "", digits = ""] = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text) ?? [];
  const bits = Number(digits);
  const isNetwork =
    ipaddr.IPv4.isValidFourPartDecimal(address) &&
    bits >= MIN_BITS &&
    bits <= MAX_BITS &&
    ipaddr.IPv4.networkAddressFromCIDR(text).toString() === address &&
    ipaddr.IPv4.parse(address).range() === "private";
  if (!isNetwork)
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      `'${text.slice(0, 60)}' is no private network with room for VMs, such as ${DEFAULT_SUBNET}`,
    );
  return { first: toNumber(address), bits, text };
}

export function gatewayOf({ first }: Subnet): string {
  return toAddress(first + 1);
}

/** Throws NETWORK_FULL when the network has no address for that number. */
export function leaseOf({ first, bits, text }: Subnet, number: number): Lease {
  const host = number + 2;
  // The last address is the broadcast's.
  if (host >= 2 ** (32 - bits) - 1)
    throw new FirebreakError("NETWORK_FULL", `the network ${text} has no address left for another VM`, {
      hint: "Delete VMs, or set up a larger one: firebreak network setup --subnet 10.0.0.0/8",
    });
  const pairs = host.toString(16).padStart(8, "0").match(/../g) as string[]; // eight digits
  return {
    device: `fbt${number}`,
    address: toAddress(first + host),
    // Locally administered (IEEE 802), so that it is nobody's.
    mac: ["0a", "fb", ...pairs].join(":"),
  };
}

function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address).octets.reduce((value, octet) => value * 256 + octet, 0);
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}
