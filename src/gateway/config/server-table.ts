import path from "node:path";
import { findNearest } from "../../errors/nearest.ts";
import type { ClientEntry, ClientServer } from "./client-file.ts";
import { HANDLED, LEFT_OUT, NOT_FOLLOWED, OWN_KEYS, readBridge, takeTexts, toolsOf, wordsOf } from "./client-keys.ts";
import { readContainerCommand } from "./container-command.ts";
import type { Conversion, ConvertedServer } from "./conversion.ts";
import { configError, formatKey } from "./document.ts";
import { findKnownServer, type KnownServer, packageOf } from "./known-servers.ts";
import { expandPath } from "./paths.ts";
import { referTo, secretsIn } from "./references.ts";
import { TableReport } from "./table-report.ts";
import { TableSecrets } from "./table-secrets.ts";
import { hasPassword, isSecretName, isSecretValue, isStandIn, isToken, placeOfUrl, readUrl } from "./tokens.ts";
import { isHostsOwn, soleVariable } from "./variables.ts";

export function toServerTable(entry: ClientEntry, conversion: Conversion): ConvertedServer {
  return new Converter(entry, conversion).convert();
}

class Converter {
  readonly #entry: ClientEntry;
  readonly #conversion: Conversion;
  readonly #report: TableReport;
  readonly #secrets: TableSecrets;
  /** Of URLs among its variables: where it is told to go. */
  readonly #told = new Set<string>();
  readonly #paths: string[] = [];

  constructor(entry: ClientEntry, conversion: Conversion) {
    this.#entry = entry;
    this.#conversion = conversion;
    this.#report = new TableReport(entry);
    this.#secrets = new TableSecrets(entry, conversion, this.#report);
  }

  convert(): ConvertedServer {
    const { value } = this.#entry;
    const own = this.#readOwn();
    const table: Record<string, unknown> = {};
    const url = value.url ?? value.httpUrl ?? value.serverUrl;
    const words = wordsOf(value);
    const bridged = url === undefined ? readBridge(words) : undefined;
    if (bridged !== undefined) this.#addRemote(table, bridged.url, { headers: bridged.headers, urlKey: "args" });
    else if (url !== undefined) {
      const urlKey = value.url !== undefined ? "url" : value.httpUrl !== undefined ? "httpUrl" : "serverUrl";
      this.#addRemote(table, url, { headers: { ...value.http_headers, ...value.headers }, urlKey });
      // Both is an error, which is told where others are.
      if (words.length > 0) table.command = words;
    } else this.#addProgram(table, words, own);
    this.#addCommon(table, value);
    Object.assign(table, own);
    for (const { key, message } of this.#entry.told ?? []) this.#report.warn(key, message);
    const { warnings, notes } = this.#report;
    return { table, document: this.#report.document(), warnings, notes };
  }

  /** firebreak's own keys, beside the client's or in `firebreak`. Unknown ones are told. */
  #readOwn(): Record<string, unknown> {
    const { value } = this.#entry;
    const own: Record<string, unknown> = { ...value.firebreak };
    for (const key of Object.keys(own)) this.#report.setOrigin(key, { path: ["firebreak", key], isWhole: true });
    for (const [key, given] of Object.entries(value)) {
      if (HANDLED.has(key) || LEFT_OUT.has(key)) continue;
      const why = Object.hasOwn(NOT_FOLLOWED, key) ? NOT_FOLLOWED[key] : undefined;
      if (OWN_KEYS.includes(key)) own[key] = given;
      else if (why !== undefined) this.#report.warn([key], why);
      else this.#refuseMisspelt(key);
    }
    return own;
  }

  #refuseMisspelt(key: string): void {
    const nearest = findNearest(key, [...HANDLED, ...OWN_KEYS]);
    const { document, path: at } = this.#entry;
    if (nearest === undefined) {
      this.#report.warn([key], "nothing here knows this key: it is left out");
      return;
    }
    throw configError(
      { file: document.file, line: document.lineOf([...at, key]) },
      `there is no key '${formatKey([...at, key])}', did you mean '${nearest}'?`,
    );
  }

  #addCommon(table: Record<string, unknown>, value: ClientServer): void {
    if (value.enabled === false || value.disabled === true) table.enabled = false;
    this.#report.setOrigin("enabled", { path: [value.enabled === false ? "enabled" : "disabled"], isWhole: false });
    const tools = toolsOf(value);
    if (tools !== undefined) table.tools = tools.table;
    if (tools !== undefined) this.#report.setOrigin("tools", { path: [tools.key], isWhole: tools.key === "tools" });
    const seconds = value.tool_timeout_sec;
    if (typeof seconds === "number" && seconds > 0) table.limits = { call_timeout: `${seconds}s` };
    if (typeof value.timeout === "number" && value.timeout >= 100)
      table.limits = { call_timeout: `${Math.round(value.timeout)}ms` };
    this.#report.setOrigin("limits", {
      path: [seconds === undefined ? "timeout" : "tool_timeout_sec"],
      isWhole: false,
    });
  }

  #addRemote(
    table: Record<string, unknown>,
    url: string,
    { headers, urlKey }: { headers: Record<string, string | null>; urlKey: string },
  ): void {
    const { value } = this.#entry;
    this.#report.setOrigin("url", { path: [urlKey], isWhole: false });
    const parsed = readUrl(url);
    const host = parsed === undefined ? undefined : placeOfUrl(parsed);
    const hosts = host === undefined ? [] : [host];
    table.url = this.#moveQuery(this.#secrets.replace(url, urlKey, hosts), urlKey, hosts);
    if (value.type === "sse" || value.transport === "sse") table.transport = "sse";
    const found: Record<string, string> = {};
    for (const [name, given] of Object.entries(headers))
      if (given !== null) found[name] = this.#header(name, given, hosts);
    const bearer = value.bearer_token_env_var;
    if (bearer !== undefined)
      found.Authorization = `Bearer ${referTo(this.#secrets.secretFor(`env:${bearer}`, { wanted: bearer, from: bearer, hosts }))}`;
    if (Object.keys(found).length > 0) table.headers = found;
    this.#report.setOrigin("headers", {
      path: [value.headers === undefined ? "http_headers" : "headers"],
      isWhole: true,
    });
    const ignored = value.env ?? value.environment;
    if (ignored !== undefined && Object.keys(ignored).length > 0)
      this.#report.warn(["env"], "a server with a url has no environment: it is left out");
  }

  #header(name: string, given: string, hosts: readonly string[]): string {
    const value = this.#secrets.replace(given, "headers", hosts);
    const [, scheme = "", token = ""] = /^((?:Bearer|Basic|Token|ApiKey)\s+)?(.*)$/is.exec(value) ?? [];
    if (
      secretsIn(value).length > 0 ||
      !(isSecretValue(name.replaceAll("-", "_"), token) || (scheme !== "" && token !== ""))
    )
      return value;
    const wanted = /^authorization$/i.test(name)
      ? `${this.#entry.name}_TOKEN`.toUpperCase()
      : `${this.#entry.name}_${name}`.toUpperCase();
    return `${scheme}${this.#secrets.literal(token, { wanted, key: ["headers", name], hosts })}`;
  }

  /** Tokens among the parameters of a URL. */
  #moveQuery(url: string, key: string, hosts: readonly string[]): string {
    return url.replaceAll(/([?&])([^=&#]+)=([^&#]*)/g, (whole, sign: string, name: string, given: string) => {
      if (secretsIn(given).length > 0 || !isSecretValue(name, given)) return whole;
      return `${sign}${name}=${this.#secrets.literal(decode(given), { wanted: `${this.#entry.name}_${name}`.toUpperCase(), key: [key], hosts })}`;
    });
  }

  #addProgram(table: Record<string, unknown>, words: readonly string[], own: Record<string, unknown>): void {
    const { value, name } = this.#entry;
    const container = readContainerCommand(words);
    // Zed's older form.
    const inCommand =
      typeof value.command === "object" && !Array.isArray(value.command) ? value.command.env : undefined;
    const env = { ...inCommand, ...value.env, ...value.environment, ...takeTexts(own, "env") };
    this.#report.setOrigin("env", { path: [value.env === undefined ? "environment" : "env"], isWhole: true });
    for (const key of ["args", "allowed_paths", "image", "cwd"])
      if (!this.#report.hasOrigin(key) && (key !== "cwd" || container?.cwd !== undefined))
        this.#report.setOrigin(key, { path: ["args"], isWhole: false });
    const known = findKnownServer(container?.args ?? words, container?.image);
    if (container !== undefined) {
      table.image = container.image;
      for (const option of container.ignored)
        this.#report.warn(["args"], `'${option}' is left out: a VM is not run that way`);
      for (const entry of container.paths) this.#paths.push(this.#volume(this.#secrets.replace(entry, "args")));
      // `-e NAME` passes on what the client has given docker.
      for (const [variable, given] of Object.entries(container.env)) env[variable] ??= given ?? `\${${variable}}`;
    }
    const folder = container?.cwd ?? value.cwd;
    if (folder !== undefined) table.cwd = this.#absolute(this.#secrets.replace(folder, "cwd"));
    if (value.cwd !== undefined && container === undefined)
      this.#report.note("cwd", "in the VM, too: allowed_paths shows it");
    const variables = this.#environment(env, known);
    const given = container?.args ?? words;
    const args = this.#arguments(given, known);
    const isImages = words.length === 0 && own.image !== undefined;
    if (isImages && value.args !== undefined) table.args = this.#arguments(value.args, known);
    if (container === undefined) table.command = args;
    else if (container.entrypoint !== undefined) table.command = [container.entrypoint, ...args];
    else if (args.length > 0) table.args = args;
    if (words.length === 0) delete table.command;
    if (Object.keys(variables).length > 0) table.env = variables;
    if (this.#paths.length > 0) table.allowed_paths = this.#paths;
    for (const host of known?.hosts ?? this.#told) this.#secrets.hosts.add(host);
    if (known === undefined) this.#tellOfPaths(args);
    if (known?.note !== undefined) this.#report.note("", known.note);
    this.#addNetwork(table, { own, name, known });
  }

  /** A script of this host is not in the VM; whether it may see the folder is for its owner to say. */
  #tellOfPaths(words: readonly string[]): void {
    const shown = this.#paths.length > 0;
    for (const word of words) {
      if (shown || !/^\/(?!(?:usr|bin|opt|sbin|etc)\/)[^:]*\/[^:]*$/.test(word)) continue;
      const text = `${word} is a path of this host: ${JSON.stringify(path.dirname(word))} in allowed_paths shows it to the server`;
      this.#report.note("", text);
      this.#report.warn(["args"], text);
    }
  }

  /** Variables of secrets go, since a secret is the variable of its name. */
  #environment(env: Record<string, string | null>, known: KnownServer | undefined): Record<string, string> {
    const left: Record<string, string> = {};
    for (const [name, given] of Object.entries(env)) {
      if (given === null) continue;
      const value = this.#variable(name, given, known);
      if (value !== undefined && value !== referTo(name)) left[name] = value;
      const url = readUrl(value ?? "");
      const place =
        url !== undefined && /^https?:$/.test(url.protocol) ? this.#secrets.placeOf(url, ["env", name]) : undefined;
      if (place !== undefined) this.#told.add(place);
    }
    return left;
  }

  #variable(name: string, given: string, known: KnownServer | undefined): string | undefined {
    const sole = soleVariable(given);
    const hosts = known?.hosts ?? [];
    if (sole !== undefined && isHostsOwn(sole.name)) {
      this.#report.warn(["env", name], `it is left out: this host's ${sole.name} means nothing in a VM`);
      return undefined;
    }
    if (sole !== undefined && sole.name !== "HOME" && (!sole.fallback || isSecretName(name)))
      return referTo(this.#secrets.secretFor(`${sole.kind}:${sole.name}`, { wanted: name, from: given, hosts }));
    const value = this.#secrets.replace(given, "env", hosts);
    if (isStandIn(value) && isSecretName(name))
      return referTo(
        this.#secrets.secretFor(`name:${name}`, { wanted: name, from: "a value that is none yet", hosts }),
      );
    if (secretsIn(value).length > 0 || !isSecretValue(name, value)) return value;
    return this.#secrets.literal(value, { wanted: name, key: ["env", name], hosts });
  }

  /** Paths of this host become those that the server sees; tokens become secrets. */
  #arguments(words: readonly string[], known: KnownServer | undefined): string[] {
    const result: string[] = [];
    const packageAt = words.findIndex((word) => known?.packages.includes(packageOf(word)));
    for (const [index, given] of words.entries()) {
      const before = words[index - 1] ?? "";
      const word = this.#secrets.replace(given, "args", known?.hosts);
      if (secretsIn(word).length > 0) result.push(word);
      else if (index > packageAt && isPathAt(known, before, word, packageAt >= 0)) result.push(this.#path(word, known));
      else result.push(this.#argument(word, before, known?.hosts ?? []));
    }
    return result;
  }

  #argument(word: string, before: string, hosts: readonly string[]): string {
    const [, option, inline] = /^(--?[\w-]+)=(.*)$/s.exec(word) ?? [];
    // What stands behind `=` is a value, and gives nothing its name.
    const name = option ?? (/^--?[\w-]+$/.test(before) ? before : "");
    const text = inline ?? word;
    const plain = name.replaceAll(/^-+/g, "").replaceAll("-", "_");
    if (word.startsWith("-") && inline === undefined) return word;
    if (!(plain === "" ? isToken(text) || hasPassword(text) : isSecretValue(plain, text))) return word;
    const wanted =
      plain === "" ? `${this.#entry.name}_${hasPassword(text) ? "URL" : "TOKEN"}`.toUpperCase() : plain.toUpperCase();
    const value = this.#secrets.literal(text, { wanted, key: ["args"], hosts });
    return inline === undefined ? value : `${option}=${value}`;
  }

  /** `host:/inside:rw` with the host's path as it is from anywhere. */
  #volume(entry: string): string {
    const at = entry.indexOf(":");
    return `${this.#absolute(entry.slice(0, at))}${entry.slice(at)}`;
  }

  #absolute(given: string): string {
    const found = expandPath(given, this.#conversion);
    return typeof found === "string" ? found : given;
  }

  #path(word: string, known: KnownServer | undefined): string {
    const { home, folder } = this.#conversion;
    const found = expandPath(word, { home, folder });
    if (typeof found !== "string") return word;
    const entry = known?.needsFolder === true ? `${path.dirname(found)}:rw` : found;
    if (!this.#paths.includes(entry)) this.#paths.push(entry);
    return found;
  }

  #addNetwork(
    table: Record<string, unknown>,
    { own, name, known }: { own: Record<string, unknown>; name: string; known: KnownServer | undefined },
  ): void {
    const secrets = this.#secrets.list();
    const items = secrets.map((secret) =>
      secret.expose === undefined ? secret.name : { name: secret.name, expose: secret.expose },
    );
    if (items.length > 0) table.secrets = [...items, ...(Array.isArray(own.secrets) ? own.secrets : [])];
    if (items.length > 0) delete own.secrets;
    if (!this.#report.hasOrigin("secrets")) this.#report.setOrigin("secrets", { path: ["env"], isWhole: false });
    for (const key of ["allowed_hosts", "network"])
      if (!this.#report.hasOrigin(key) && own[key] === undefined)
        this.#report.setOrigin(key, { path: [], isWhole: false });
    if (["network", "allowed_hosts", "vm_profile"].some((key) => own[key] !== undefined)) return;
    const [only] = this.#told.size === 1 ? this.#told : [];
    for (const secret of secrets)
      if (secret.hosts.length === 0 && secret.expose === undefined && only !== undefined) secret.hosts = [only];
    for (const host of secrets.flatMap((secret) => secret.hosts)) this.#secrets.hosts.add(host);
    const hosts = [...this.#secrets.hosts];
    if (hosts.length > 0) table.allowed_hosts = hosts;
    else if (secrets.length > 0) {
      table.network = "allowlist";
      table.allowed_hosts = [];
      this.#report.note("allowed_hosts", `the hosts that ${name} needs: without one it reaches nothing`);
      if (!this.#conversion.moveTokens)
        this.#report.warn(["env"], "nobody has said which hosts it needs: it reaches nothing");
    } else if (known === undefined)
      this.#report.note("", 'it has no network; allowed_hosts = ["HOST"] lets it reach HOST, and nothing else');
    for (const secret of secrets)
      if (secret.hosts.length === 0 && secret.expose === undefined)
        this.#report.note(
          "secrets",
          `hosts = [...]: say where ${secret.name} may go, with: firebreak secret set ${secret.name} --host HOST`,
        );
  }
}

function isPathAt(known: KnownServer | undefined, before: string, word: string, isBehindPackage: boolean): boolean {
  if (known?.paths === undefined || !isBehindPackage) return false;
  if (known.paths === "arguments") return !word.startsWith("-");
  return known.paths.includes(before);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
