import { hasPort } from "./ports.ts";
import { parseRule } from "./rule-text.ts";

/** A secret goes out over TLS unless its host's port says otherwise. */
const SECRET_PORTS = [[443, 443]] as const;

/** Whether a secret that is for some hosts may be sent to a port of one. */
export function isSecretFor(hosts: readonly string[], name: string, port: number): boolean {
  return hosts.some((host) => {
    const entries = parseRule(host, new Map(), SECRET_PORTS);
    if ("why" in entries) return false;
    return entries.some(
      (entry) =>
        hasPort(entry.ports, port) && (entry.isWildcard ? name.endsWith(`.${entry.name}`) : name === entry.name),
    );
  });
}
