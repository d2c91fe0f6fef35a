import type { NatStatus } from "../../contract/nat.ts";

/** How the host is set up, in lines. */
export function describeNetwork({ isSetUp, kind, subnet, vms, drift }: NatStatus): string {
  if (!isSetUp) return "The host is not set up for network cards.";
  const cards = vms.map(({ vm, address }) => `${vm} has ${address}`);
  return [`Kind ${kind}${subnet === undefined ? "" : `, addresses of ${subnet}`}.`, ...cards, ...drift].join("\n");
}
