import { MIN_PROXIED_LENGTH, SECRET_NAME_PATTERN, type SecretExposure } from "../../contract/secret.ts";
import { hostsOfToken } from "./known-servers.ts";

/** A secret that servers of a file need. */
export interface FoundSecret {
  name: string;
  /** Absent where the file has none, only a reference to it. */
  value?: string;
  /** As far as they are known. */
  hosts: string[];
  expose?: SecretExposure;
  /** Where it was found: `mcpServers.github.env.GITHUB_TOKEN`. */
  from: string;
}

/** The secrets of all servers of a file: the same value is one secret, and no two share a name. */
export class SecretNames {
  readonly #found = new Map<string, FoundSecret>();
  readonly #names = new Set<string>();

  /** `identity` tells values, or what is known of them, apart. */
  add(
    { wanted, server, identity }: { wanted: string; server: string; identity: string },
    secret: Omit<FoundSecret, "name">,
  ): FoundSecret {
    const known = this.#found.get(identity);
    if (known !== undefined) {
      known.hosts = [...new Set([...known.hosts, ...secret.hosts])];
      return known;
    }
    const name = this.#free(toSecretName(wanted), toSecretName(`${server}_${wanted}`).toUpperCase());
    this.#names.add(name);
    const found: FoundSecret = {
      name,
      ...secret,
      hosts: [...new Set([...secret.hosts, ...(hostsOfToken(wanted) ?? [])])],
    };
    this.#found.set(identity, found);
    return found;
  }

  list(): FoundSecret[] {
    return [...this.#found.values()];
  }

  /** Those that have a value that is not found by chance in what is no secret, the longest first: one may hold another. */
  values(): (FoundSecret & { value: string })[] {
    return this.list()
      .filter((secret): secret is FoundSecret & { value: string } => (secret.value?.length ?? 0) >= MIN_PROXIED_LENGTH)
      .sort((a, b) => b.value.length - a.value.length);
  }

  #free(...wanted: string[]): string {
    for (let number = 1; ; number++)
      for (const name of wanted) {
        const candidate = number === 1 ? name : `${name.slice(0, 60)}_${number}`;
        if (!this.#names.has(candidate)) return candidate;
      }
  }
}

/** The name of a variable that is nearest to a text. */
export function toSecretName(text: string): string {
  if (SECRET_NAME_PATTERN.test(text)) return text;
  const plain = text
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "")
    .slice(0, 63);
  return /^[A-Z_]/.test(plain) ? plain : `_${plain}`;
}
