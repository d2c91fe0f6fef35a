import ipaddr from "ipaddr.js";

/** What an address is to a guest that would get there by way of its host. */
export type AddressClass =
  | "public"
  | "loopback"
  | "private"
  | "link_local"
  | "metadata"
  | "cgnat"
  | "multicast"
  | "reserved"
  | "unspecified"
  | "benchmark";

/** Where clouds tell machines who they are, and with which keys: AWS, GCP, Azure (link-local), AWS over IPv6, Alibaba, Azure's wire server. */
const METADATA = new Set([
  "169.254.169.254",
  "169.254.170.2",
  "fd00:ec2::254",
  "fd00:ec2::23",
  "100.100.100.200",
  "168.63.129.16",
]);

/** Names of ipaddr.js for ranges of the IANA registries (RFC 6890), by what they are here; all others are reserved. */
const CLASSES: Record<string, AddressClass> = {
  unicast: "public",
  loopback: "loopback",
  private: "private",
  uniqueLocal: "private",
  linkLocal: "link_local",
  carrierGradeNat: "cgnat",
  multicast: "multicast",
  broadcast: "multicast",
  unspecified: "unspecified",
};
/** For examples (RFC 5737, RFC 3849). No network of anybody's is protected by refusing them, and sandboxes put mirrors of registries there. */
const EXAMPLES_V4 = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"].map((range) => ipaddr.IPv4.parseCIDR(range));
const EXAMPLES_V6 = ipaddr.IPv6.parseCIDR("2001:db8::/32");
const BENCHMARK = ipaddr.IPv4.parseCIDR("198.18.0.0/15");
const SITE_LOCAL = ipaddr.IPv6.parseCIDR("fec0::/10");
const NAT64 = [ipaddr.IPv6.parseCIDR("64:ff9b::/96"), ipaddr.IPv6.parseCIDR("64:ff9b:1::/48")] as const;
/** IPv4 addresses in the lowest bits (RFC 4291 §2.5.5.1): out of use, but kernels still know them. */
const COMPATIBLE = ipaddr.IPv6.parseCIDR("::/96");

/** An address that is none is reserved. One that leads to an IPv4 address is what that is. */
export function classifyAddress(text: string): AddressClass {
  const bare = text.split("%", 1)[0] ?? "";
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return "reserved";
  const address = ipaddr.parse(bare);
  return address instanceof ipaddr.IPv4 ? classifyV4(address) : classifyV6(address as ipaddr.IPv6);
}

function classifyV4(address: ipaddr.IPv4): AddressClass {
  if (METADATA.has(address.toString())) return "metadata";
  if (address.match(BENCHMARK)) return "benchmark";
  if (EXAMPLES_V4.some((range) => address.match(range))) return "public";
  return CLASSES[address.range()] ?? "reserved";
}

function classifyV6(address: ipaddr.IPv6): AddressClass {
  if (METADATA.has(address.toRFC5952String())) return "metadata";
  const range = address.range();
  if (range === "unspecified" || range === "loopback") return CLASSES[range] as AddressClass;
  const embedded = embeddedIn(address, range);
  if (embedded !== undefined) return classifyV4(embedded);
  if (address.match(SITE_LOCAL)) return "private";
  if (address.match(EXAMPLES_V6)) return "public";
  return CLASSES[range] ?? "reserved";
}

/** The IPv4 address that packets to an IPv6 address end at. */
function embeddedIn(address: ipaddr.IPv6, range: string): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  const at = (offset: number, flip = 0) => new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ flip));
  if (range === "6to4") return at(2);
  // A relay sends to the client's address, which is stored inverted (RFC 4380 §4).
  if (range === "teredo") return at(12, 0xff);
  const isEmbedding =
    address.isIPv4MappedAddress() || address.match(COMPATIBLE) || NAT64.some((net) => address.match(net));
  return isEmbedding ? at(12) : undefined;
}

/** What no policy opens: other machines' keys, this host's neighbours on the wire, and what is no place to connect to. */
const NEVER: readonly AddressClass[] = ["metadata", "link_local", "multicast", "reserved", "unspecified", "benchmark"];

/** Whether a guest is kept away from there, given whether its policy says that the name may be private. */
export function isRefused(kind: AddressClass, isPrivateAllowed: boolean): boolean {
  return NEVER.includes(kind) || (kind !== "public" && !isPrivateAllowed);
}
