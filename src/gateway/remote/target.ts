import type { RemoteServer } from "../../contract/server.ts";
import { expandSecrets, secretsIn } from "../config/references.ts";

/** The value of a secret for one host. Throws SECRET_… when there is none, or it is not for that host. */
export type SecretFor = (name: string, url: URL) => string;

/** Where a server is, and what goes with each request to it. */
export interface Target {
  url: URL;
  headers: Record<string, string>;
  /** What must not be seen in any message. */
  secrets: string[];
}

/**
 * A configuration with the values of its secrets, as the vault has them now. Their hosts are those of the URL as it is written: no value
 * has a say in where it goes.
 */
export function resolveTarget({ url, headers }: Pick<RemoteServer, "url" | "headers">, secretFor: SecretFor): Target {
  const written = new URL(expandSecrets(url, () => "x"));
  const secrets = new Set<string>();
  const expand = (text: string, encode: (value: string) => string) =>
    expandSecrets(text, (name) => {
      const value = secretFor(name, written);
      secrets.add(value);
      return encode(value);
    });
  const path = secretsIn(url).length === 0 ? url : expand(url, encodeURIComponent);
  const expanded = new URL(path);
  if (expanded.origin !== written.origin) throw new TypeError("a secret stands in a URL's host");
  return {
    url: expanded,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), expand(value, (text) => text.trim())]),
    ),
    secrets: [...secrets].filter((value) => value.length > 0),
  };
}

/** What a server says, without the secrets that it has been given. */
export function mask(text: string, secrets: readonly string[]): string {
  return secrets.reduce((masked, secret) => masked.replaceAll(secret, "***"), text);
}
