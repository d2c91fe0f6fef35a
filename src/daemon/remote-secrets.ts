import { isIP } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { SecretFor } from "../gateway/remote/target.ts";
import { classifyAddress } from "../network/addresses.ts";
import { isSecretFor } from "../network/secret-hosts.ts";
import type { GrantedSecret } from "../secrets/service.ts";

/** What is asked of the secrets of this host. */
export interface RemoteSecretSource {
  /** Throws SECRET_NOT_FOUND. */
  get(name: string): unknown;
  granted(items: { name: string }[]): Pick<GrantedSecret, "hosts" | "expose" | "value">[];
}

/** Values for requests to servers that run elsewhere: a secret goes to the hosts that it is for, and nowhere else. */
export function secretsForRemotes(secrets: RemoteSecretSource): SecretFor {
  return (name, url) => {
    // Throws SECRET_NOT_FOUND, with the nearest that there is.
    secrets.get(name);
    const [secret] = secrets.granted([{ name }]);
    if (secret === undefined) throw new FirebreakError("SECRET_NOT_FOUND", `there is no secret ${name}`);
    const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
    const isFree = secret.expose === "env" && secret.hosts.length === 0;
    const host = secretHostOf(url);
    if (isFree || isSecretFor(secret.hosts, host, port)) return secret.value();
    const place = port === 443 ? host : `${host}:${port}`;
    throw new FirebreakError("SECRET_INVALID", `the secret ${name} is not for ${place}`, {
      hint: `If it is meant to be: firebreak secret set ${name} ${[...secret.hosts, place].map((each) => `--host ${each}`).join(" ")}`,
    });
  };
}

/** Secrets are for names: an address of this host's loopback is what `localhost` is. */
function secretHostOf({ hostname }: URL): string {
  const address = hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(address) !== 0 && classifyAddress(address) === "loopback" ? "localhost" : hostname;
}
