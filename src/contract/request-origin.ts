import { isIP } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";

/**
 * Throws HOST_NOT_ALLOWED. A page whose name was made to point here (DNS rebinding) sends its own name; an address needs no name server that
 * could lie. `allowedHosts`: names that the server is known by, in lower case, besides localhost and IP addresses.
 */
export function checkHost(header: string, allowedHosts: readonly string[]): void {
  const name = hostOf(header);
  if (name !== undefined && (name === "localhost" || isIP(name) !== 0 || allowedHosts.includes(name))) return;
  throw new FirebreakError("HOST_NOT_ALLOWED", "the daemon does not go by the name in the Host header", {
    hint: "Reach it by its address, or allow the name: firebreak daemon start --listen HOST:PORT --allow-host NAME",
  });
}

/** The name or address in a Host header, in lower case and without brackets. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** Throws ORIGIN_NOT_ALLOWED. Browsers say which page makes a request; programs do not. A page that the daemon itself has served has its host. */
export function checkOrigin(origin: string | undefined, host: string): void {
  if (origin === undefined) return;
  const match = /^https?:\/\/([^/]+)$/i.exec(origin);
  if (match?.[1]?.toLowerCase() === host.toLowerCase()) return;
  throw new FirebreakError("ORIGIN_NOT_ALLOWED", "pages of other origins may not use the daemon", {
    hint: "Leave the Origin header out where no browser is involved.",
  });
}
