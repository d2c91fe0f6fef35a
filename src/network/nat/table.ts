import ipaddr from "ipaddr.js";
import type { PortRanges } from "../ports.ts";
import { type AddressPolicy, type AddressRule, writeRange } from "./address-rules.ts";
import { gatewayOf, type Lease, type Subnet } from "./lease.ts";

/** The rules, and what a card may send at all: only the family netdev sees more than IP where frames come in. */
export const TABLES = ["inet firebreak", "netdev firebreak"] as const;
export const BRIDGE = "fbbr0";

/** A VM that has a network card. */
export interface Station {
  lease: Lease;
  policy: AddressPolicy;
}

export interface TableFacts {
  subnet: Subnet;
  stations: readonly Station[];
  /** Asked for names by all VMs, wherever they are. */
  nameservers: readonly string[];
}

/**
 * What no rule opens: this host and its VMs (by the bridge's chains), metadata services and the wire's own addresses. The rest of what is
 * not public is closed unless a rule names it.
 */
const NEVER = ["0.0.0.0/8", "100.100.100.200", "127.0.0.0/8", "168.63.129.16", "169.254.0.0/16", "224.0.0.0/3"];
const PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"];
/** Before other tables' chains of the same hook. */
const EARLY = "filter - 10";
const REFUSE = "reject with icmpx admin-prohibited";

/** Commands of `nft -f -` with which nothing of the tables is left, whatever there was. */
export function clearTables(): string {
  return TABLES.map((table) => `table ${table}\ndelete table ${table}\n`).join("");
}

/** Both tables, as one transaction of `nft -f -` that replaces what is there. */
export function writeTable({ subnet, stations, nameservers }: TableFacts): string {
  const gateway = gatewayOf(subnet);
  const [rules, cards] = TABLES;
  const lines = [
    `table ${rules} {`,
    ...stations.flatMap((station) => chainOf(station, nameservers)),
    ...chain("to_host", `type filter hook input priority ${EARLY}; policy accept`, [
      `iifname != "${BRIDGE}" accept`,
      "ct state established,related accept",
      `ip daddr ${gateway} icmp type echo-request accept`,
      REFUSE,
    ]),
    ...chain("through", `type filter hook forward priority ${EARLY}; policy accept`, [
      `oifname "${BRIDGE}" ct state established,related accept`,
      `oifname "${BRIDGE}" ${REFUSE}`,
      `iifname != "${BRIDGE}" accept`,
      ...(stations.length === 0
        ? []
        : [
            `ip saddr vmap { ${stations.map(({ lease }) => `${lease.address} : goto ${chainName(lease)}`).join(", ")} }`,
          ]),
      "drop",
    ]),
    ...chain("hide", "type nat hook postrouting priority srcnat; policy accept", [
      `ip saddr ${subnet.text} oifname != "${BRIDGE}" masquerade`,
    ]),
    "}",
    `table ${cards} {`,
    ...sourceChain(stations, gateway),
    "}",
  ];
  return `${clearTables()}${lines.join("\n")}\n`;
}

/**
 * A machine sends as itself, and nothing but IPv4 and the questions where its gateway is: what it says of itself decides which rules are its, an
 * answer of ARP would tell it which addresses are this host's, and each sender of ARP takes one of the few neighbours that a host knows.
 */
function sourceChain(stations: readonly Station[], gateway: string): string[] {
  if (stations.length === 0) return [];
  const devices = stations.map(({ lease }) => lease.device).join(", ");
  const own = stations.map(({ lease }) => `"${lease.device}" . ${lease.address}`).join(", ");
  return chain("sources", `type filter hook ingress devices = { ${devices} } priority -500; policy accept`, [
    "meta protocol != { ip, arp } drop",
    `iifname . ip saddr != { ${own} } drop`,
    `iifname . arp saddr ip != { ${own} } drop`,
    `arp daddr ip != ${gateway} drop`,
  ]);
}

function chainOf({ lease, policy }: Station, nameservers: readonly string[]): string[] {
  const { allow, deny } = policy;
  // An exact rule for a private network is meant; one that merely covers it (0.0.0.0/0) is not.
  const opened = (allow ?? []).filter(({ range }) => PRIVATE.some((text) => isWithin(range, text)));
  const rest = (allow ?? []).filter((rule) => !opened.includes(rule));
  return chain(chainName(lease), undefined, [
    ...deny.flatMap((rule) => matches(rule).map((match) => `${match} ${REFUSE}`)),
    ...nameservers.map((server) => `ip daddr ${server} meta l4proto { tcp, udp } th dport 53 accept`),
    `ip daddr { ${NEVER.join(", ")} } ${REFUSE}`,
    ...opened.flatMap((rule) => matches(rule).map((match) => `${match} accept`)),
    `ip daddr { ${PRIVATE.join(", ")} } ${REFUSE}`,
    ...(allow === undefined ? ["accept"] : rest.flatMap((rule) => matches(rule).map((match) => `${match} accept`))),
    ...(allow === undefined ? [] : [REFUSE]),
  ]);
}

/** With ports a rule is of TCP and UDP; without, of all there is. */
function matches({ range, ports }: AddressRule): string[] {
  const to = range[1] === 0 ? [] : [`ip daddr ${writeRange(range)}`];
  return [
    [...to, ...(ports === undefined ? [] : [`meta l4proto { tcp, udp } th dport ${writePorts(ports)}`])].join(" "),
  ];
}

function writePorts(ports: PortRanges): string {
  const all = ports.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return `{ ${all.join(", ")} }`;
}

function isWithin([address, bits]: AddressRule["range"], text: string): boolean {
  const [network = "", width = "32"] = text.split("/");
  const mask = Number(width);
  return bits >= mask && address.match(ipaddr.IPv4.parse(network), mask);
}

function chainName({ device }: Lease): string {
  return `vm_${device}`;
}

function chain(name: string, head: string | undefined, rules: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    ...(head === undefined ? [] : [`    ${head}`]),
    ...rules.map((rule) => `    ${rule}`),
    "  }",
  ];
}
