import { readFile } from "node:fs/promises";
import ipaddr from "ipaddr.js";

/** systemd-resolved keeps there what it asks itself; /etc/resolv.conf then names this host, which no VM reaches. */
const FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/** More than that resolvers do not ask (resolv.conf(5)). */
const MAX_SERVERS = 3;

/** The name servers of this host that a VM can ask, too: those of IPv4 that are not the host itself. */
export async function findNameservers(): Promise<string[]> {
  for (const file of FILES) {
    const servers = parseNameservers(await readFile(file, "utf8").catch(() => ""));
    if (servers.length > 0) return servers;
  }
  return [];
}

export function parseNameservers(text: string): string[] {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
  return servers
    .filter((address) => ipaddr.IPv4.isValidFourPartDecimal(address) && ipaddr.parse(address).range() !== "loopback")
    .slice(0, MAX_SERVERS);
}
