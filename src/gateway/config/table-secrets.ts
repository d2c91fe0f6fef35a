import { WEB_PORTS } from "../../network/ports.ts";
import { parseRule } from "../../network/rule-text.ts";
import type { ClientEntry } from "./client-file.ts";
import type { Conversion } from "./conversion.ts";
import { formatKey, type KeyPath } from "./document.ts";
import { hostsOfToken } from "./known-servers.ts";
import { referTo, secretsIn } from "./references.ts";
import type { FoundSecret } from "./secret-names.ts";
import type { TableReport } from "./table-report.ts";
import { hasPassword, isStandIn, placeOfUrl, readUrl } from "./tokens.ts";
import { replaceVariables, type VariableContext } from "./variables.ts";

/** The secrets of one server, found in what its client's file says. */
export class TableSecrets {
  /** Where the server may go for the sake of its secrets, or since it is known. */
  readonly hosts = new Set<string>();
  readonly #entry: ClientEntry;
  readonly #conversion: Conversion;
  readonly #report: TableReport;
  readonly #secrets = new Map<string, FoundSecret>();

  constructor(entry: ClientEntry, conversion: Conversion, report: TableReport) {
    this.#entry = entry;
    this.#conversion = conversion;
    this.#report = report;
  }

  list(): FoundSecret[] {
    return [...this.#secrets.values()];
  }

  /** A token that stands in the file: a reference to its secret, or itself where tokens stay. */
  literal(value: string, { wanted, key, hosts }: { wanted: string; key: KeyPath; hosts: readonly string[] }): string {
    const whole = [...this.#entry.path, ...key];
    const from = formatKey(this.#entry.document.nameOf?.(whole) ?? whole);
    if (isStandIn(value))
      return referTo(this.secretFor(`name:${wanted}`, { wanted, from: "a value that is none yet", hosts }));
    const url = hasPassword(value) ? readUrl(value) : undefined;
    const place = url === undefined ? undefined : this.placeOf(url, key);
    if (!this.#conversion.moveTokens) {
      const known = place === undefined ? (hostsOfToken(wanted) ?? []) : [place];
      for (const host of known) this.hosts.add(host);
      this.#report.warn(
        key,
        "a token stands in this file, and the server has it: 'firebreak server import' moves it into the vault",
      );
      return value;
    }
    const isWeb = url === undefined || /^https?:$/.test(url.protocol);
    // What cannot stand in a header, or goes out in no HTTP at all, a server needs as it is.
    const isProxied = isWeb && value.length >= 8 && /^[\x20-\x7e]*$/.test(value);
    const secret = this.#conversion.names.add(
      { wanted, server: this.#entry.name, identity: `value:${value}` },
      {
        value,
        hosts: [...(place === undefined ? hosts : [place])],
        from,
        ...(isProxied ? {} : { expose: "env" as const }),
      },
    );
    this.#secrets.set(secret.name, secret);
    return referTo(secret.name);
  }

  /** Where a URL with a password leads; undefined for what a rule cannot name. */
  placeOf(url: URL, key: KeyPath): string | undefined {
    const place = placeOfUrl(url);
    if (/^(?:localhost|127\.|\[?::1|host\.docker\.internal)/.test(url.hostname)) {
      const text = `${url.hostname} is the VM itself there: give this host a name with host_addresses, and allow it with { host = "NAME:PORT", private = true }`;
      this.#report.note("secrets", text);
      this.#report.warn(key, text);
      return undefined;
    }
    return place !== undefined && !("why" in parseRule(place, new Map(), WEB_PORTS)) ? place : undefined;
  }

  /** The name of the secret that a reference of the client's needs; says so the first time. */
  secretFor(
    identity: string,
    { wanted, from, hosts = [] }: { wanted: string; from: string; hosts?: readonly string[] },
  ): string {
    const secret = this.#conversion.names.add(
      { wanted, server: this.#entry.name, identity },
      { hosts: [...hosts], from },
    );
    if (!this.#secrets.has(secret.name)) {
      this.#secrets.set(secret.name, secret);
      const input = identity.startsWith("input:")
        ? this.#entry.inputs.find(({ id }) => `input:${id}` === identity)
        : undefined;
      const what = input?.description === undefined ? from : `${from} (${input.description})`;
      const source = identity.startsWith("env:") ? ` --from-env ${identity.slice(4)}` : "";
      this.#report.warn(
        [],
        `it needs the secret ${secret.name}, which stands for ${what}: firebreak secret set ${secret.name}${source}`,
      );
    }
    return secret.name;
  }

  /** The text with what variables stand for, and references in the place of tokens; `hosts` is where its secrets may go. */
  replace(text: string, key: string, hosts?: readonly string[]): string {
    const context: VariableContext = {
      home: this.#conversion.home,
      folder: this.#conversion.folder,
      inputs: this.#entry.inputs,
      secretFor: (identity, about) => this.secretFor(identity, { ...about, ...(hosts === undefined ? {} : { hosts }) }),
      warn: (message) => this.#report.warn([key], message),
    };
    const replaced = replaceVariables(this.#withoutTokens(text, key), context);
    for (const name of secretsIn(replaced))
      if (!this.#secrets.has(name) && key !== "headers" && key !== "url")
        this.#secrets.set(name, { name, hosts: [...(hosts ?? [])], from: referTo(name) });
    return replaced;
  }

  /** A token of any server of the file is a secret wherever it stands. */
  #withoutTokens(text: string, key: string): string {
    let left = text;
    for (const secret of this.#conversion.names.values()) {
      if (!left.includes(secret.value)) continue;
      left = left.replaceAll(secret.value, () => referTo(secret.name));
      const url = hasPassword(secret.value) ? readUrl(secret.value) : undefined;
      // What is told of where it leads is told of each server.
      if (url !== undefined) this.placeOf(url, [key]);
      if (key !== "headers" && key !== "url") this.#secrets.set(secret.name, secret);
    }
    return left;
  }
}
