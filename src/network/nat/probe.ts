import ipaddr from "ipaddr.js";
import type { EgressPolicy } from "../../contract/policy.ts";
import type { ProbeFinding } from "../../contract/probe.ts";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import { classifyAddress } from "../addresses.ts";
import { hasPort } from "../ports.ts";
import { type Attempt, connectFrom, hear, type ProbeGuest } from "../probe-client.ts";
import { openTrap, type Trap } from "../trap.ts";
import { type AddressRule, compileAddresses } from "./address-rules.ts";

/** What is tried of a VM with a network card. */
export interface ProbedCard {
  client: ProbeGuest;
  policy: EgressPolicy;
  /** This host, as the VM sees it. */
  gateway: string;
  /** Where something has to listen to be found there. */
  trapAddress: string;
}

/**
 * Tries to get out of a VM with a network card. What its policy allows need not be there: only what gets out against it counts. To this host's rules
 * a name is the address that a VM connects to: what a name server or a redirect would say to lead it inwards is said by the probe itself.
 */
export async function probeAddresses(
  { client, policy, gateway, trapAddress }: ProbedCard,
  onProgress: (message: string) => void,
): Promise<ProbeFinding[]> {
  const trap = await openTrap(trapAddress);
  try {
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
      ["a redirect to a private address", "169.254.169.254", 80],
      ["a name that changes its mind", gateway, trap.port],
    ] as const) {
      onProgress(`${probe}: ${address}`);
      const startedMs = performance.now();
      const { isOut, detail } =
        port === trap.port ? await spring(client, gateway, trap) : await connectFrom(client, address, port);
      const durationMs = Math.round(performance.now() - startedMs);
      const isExpected = !isOut || isAllowed(policy, address, port);
      findings.push({ probe, target: `${address} port ${port}`, isOut, isExpected, detail, durationMs });
    }
    return findings;
  } finally {
    trap.close();
  }
}

/** Something does listen there: what keeps a VM away from it is the rules. */
async function spring(client: ProbeGuest, gateway: string, { port, word }: Trap): Promise<Attempt> {
  try {
    const heard = await hear(await client.connect({ host: gateway, port }));
    const isOut = heard.includes(word);
    return { isOut, detail: isOut ? "a service of this host answered" : "no answer" };
  } catch (error) {
    return { isOut: false, detail: toFirebreakError(error).message };
  }
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
