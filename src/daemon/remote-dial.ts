import net from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Dial } from "../gateway/remote/dial.ts";
import { classifyAddress, isRefused } from "../network/addresses.ts";
import { Dialer, type DialerOptions } from "../network/dial.ts";

/**
 * Connections to MCP servers that run elsewhere, and to what authorizes calls of them: under the rules that guests' have, by the proxy of this host
 * where its environment names one. A proxy is not asked for this host itself.
 */
export function dialRemotes(options: DialerOptions): Dial {
  const [direct, outward] = [new Dialer({ ...options, env: {} }), new Dialer(options)];
  const hosts = new Map<string, string>();
  return async ({ name, port, isPrivateAllowed }, signal) => {
    const isAddress = net.isIP(name) !== 0;
    const kind = isAddress ? classifyAddress(name) : undefined;
    // A proxy would take an address as it is.
    if (kind !== undefined && isRefused(kind, isPrivateAllowed))
      throw new FirebreakError("EGRESS_DENIED", `${name} is a ${kind.replaceAll("_", " ")} address`);
    const isHere = kind === "loopback" || /^(?:.+\.)?localhost\.?$/i.test(name);
    const { socket } = await (isHere ? direct : outward).dial({ name, port, isPrivateAllowed, hosts }, signal);
    return socket;
  };
}
