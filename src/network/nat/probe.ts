import ipaddr from "ipaddr.js";
import type { EgressPolicy } from "../../contract/policy.ts";
import type { ProbeFinding } from "../../contract/probe.ts";
import type { GuestClient } from "../../guest/client.ts";
import { classifyAddress } from "../addresses.ts";
import { hasPort } from "../ports.ts";
import { connectFrom } from "../probe.ts";
import { type AddressRule, compileAddresses } from "./address-rules.ts";

/** Tries to get out of a VM with a network card. What its policy allows need not be there: only what gets out against it counts. */
export async function probeAddresses(
  client: GuestClient,
  policy: EgressPolicy,
  gateway: string,
  onProgress: (message: string) => void,
): Promise<ProbeFinding[]> {
  const findings: ProbeFinding[] = [];
  for (const [probe, address, port] of [
    ["a public address", "1.1.1.1", 443],
    ["another name server", "8.8.8.8", 53],
    ["an address of IPv6", "2606:4700:4700::1111", 443],
    ["cloud metadata", "169.254.169.254", 80],
    ["a private network", "10.0.0.1", 80],
    ["a private network", "192.168.1.1", 443],
    ["this host", gateway, 22],
    ["this host", gateway, 80],
  ] as const) {
    onProgress(`${probe}: ${address}`);
    const startedMs = performance.now();
    const { isOut, detail } = await connectFrom(client, address, port);
    const durationMs = Math.round(performance.now() - startedMs);
    const isExpected = !isOut || isAllowed(policy, address, port);
    findings.push({ probe, target: `${address} port ${port}`, isOut, isExpected, detail, durationMs });
  }
  return findings;
}

/** As the table has it (table.ts). */
function isAllowed(policy: EgressPolicy, address: string, port: number): boolean {
  const kind = classifyAddress(address);
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) || (kind !== "public" && kind !== "private")) return false;
  const { allow, deny } = compileAddresses(policy);
  const isOf = ({ range, ports }: AddressRule) =>
    ipaddr.IPv4.parse(address).match(range[0], range[1]) && (ports === undefined || hasPort(ports, port));
  if (deny.some(isOf)) return false;
  return allow === undefined ? kind === "public" : allow.some(isOf);
}
