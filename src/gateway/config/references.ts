/** `${secret:NAME}` in a command's word, a variable's value, a header or a URL. */
const REFERENCE = /\$\{secret:([A-Za-z_][A-Za-z0-9_]{0,63})\}/g;

/** Names of the secrets that a text refers to, each once. */
export function secretsIn(text: string): string[] {
  return [...new Set([...text.matchAll(REFERENCE)].map(([, name]) => name as string))];
}

/** The text with what `ofSecret` has for each secret; throws what that throws. */
export function expandSecrets(text: string, ofSecret: (name: string) => string): string {
  return text.replaceAll(REFERENCE, (_whole, name: string) => ofSecret(name));
}

export function referTo(secret: string): string {
  return `\${secret:${secret}}`;
}

/**
 * What stands where a value will be, for a server that does not begin without one: of a URL its host, otherwise that there is
 * none yet.
 */
export function withoutSecret(name: string, value: string | undefined): string {
  const url = value !== undefined && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || url.host === "") return `no-${name}-yet`;
  return `${url.protocol}//${url.host}/`;
}
