import { FirebreakError } from "../errors/firebreak-error.ts";
import type { SecretFor } from "../gateway/remote/target.ts";
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
    if (isFree || isSecretFor(secret.hosts, url.hostname, port)) return secret.value();
    const place = port === 443 ? url.hostname : `${url.hostname}:${port}`;
    throw new FirebreakError("SECRET_INVALID", `the secret ${name} is not for ${place}`, {
      hint: `If it is meant to be: firebreak secret set ${name} ${[...secret.hosts, place].map((host) => `--host ${host}`).join(" ")}`,
    });
  };
}
