import ipaddr from "ipaddr.js";
import { describeRule, type EgressPolicy, type EgressRule } from "../../contract/policy.ts";
import { type PortRanges, parsePorts } from "../ports.ts";

/** A rule of a policy of the mode `nat`: it has no names, only addresses. */
export interface AddressRule {
  /** The first address and the bits that all of them share. */
  range: readonly [ipaddr.IPv4, number];
  /** Of TCP and UDP; undefined for all of them and every other protocol. */
  ports: PortRanges | undefined;
  /** As it was given. */
  text: string;
}

/** What a machine behind a NAT may reach; `allow` is undefined where all public addresses are. */
export interface AddressPolicy {
  allow: readonly AddressRule[] | undefined;
  deny: readonly AddressRule[];
}

/** A rule, or why it cannot be meant. */
export function parseAddressRule(rule: EgressRule): AddressRule | { why: string } {
  const given = typeof rule === "string" ? { host: rule } : rule;
  if ("methods" in given || "paths" in given || "private" in given)
    return { why: "rules of the mode nat are of addresses and ports alone: methods, paths and private need names" };
  const [, place = "", inText] = /^([^:]*)(?::(.*))?$/s.exec(given.host.trim()) ?? [];
  if (inText !== undefined && given.ports !== undefined) return { why: `'${given.host}' has ports twice` };
  const portText = inText ?? given.ports;
  const ports = portText === undefined ? undefined : parsePorts(portText);
  if (typeof ports === "string") return { why: ports };
  const range = parseRange(place);
  if (range === undefined)
    return {
      why: `'${place}' is no IPv4 address and no range of them, such as 203.0.113.0/24; names are for the modes allowlist and public`,
    };
  return { range, ports, text: describeRule(rule) };
}

function parseRange(text: string): AddressRule["range"] | undefined {
  const [address = "", bits = "32", ...more] = text.split("/");
  if (more.length > 0 || !ipaddr.IPv4.isValidFourPartDecimal(address) || !/^(?:[0-9]|[12][0-9]|3[0-2])$/.test(bits))
    return undefined;
  // Of the range, and no address within it: nftables writes it so, and what it has is compared with what it should have.
  return [ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`), Number(bits)];
}

/** Of a policy without problems that are errors; rules that cannot be meant allow nothing. */
export function compileAddresses({ allow, deny = [] }: EgressPolicy): AddressPolicy {
  const parse = (rules: readonly EgressRule[]) =>
    rules.map(parseAddressRule).filter((rule): rule is AddressRule => !("why" in rule));
  return { allow: allow === undefined ? undefined : parse(allow), deny: parse(deny) };
}

export function writeRange([address, bits]: AddressRule["range"]): string {
  return bits === 32 ? address.toString() : `${address.toString()}/${bits}`;
}

/** Whether the first rule says all that the second one does. */
export function coversAddresses(wide: AddressRule, rule: AddressRule): boolean {
  return (
    wide.ports === undefined && wide.range[1] <= rule.range[1] && rule.range[0].match(wide.range[0], wide.range[1])
  );
}
