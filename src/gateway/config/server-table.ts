import path from "node:path";
import { findNearest } from "../../errors/nearest.ts";
import { WEB_PORTS } from "../../network/ports.ts";
import { parseRule } from "../../network/rule-text.ts";
import type { ClientEntry, ClientServer } from "./client-file.ts";
import { readContainerCommand } from "./container-command.ts";
import { type ConfigDocument, configError, formatKey, isTable, type KeyPath } from "./document.ts";
import { findKnownServer, hostsOfToken, type KnownServer, packageOf } from "./known-servers.ts";
import type { ConfigWarning } from "./layers.ts";
import { expandPath } from "./paths.ts";
import { referTo, secretsIn } from "./references.ts";
import { serverTableSchema } from "./schema.ts";
import { type FoundSecret, SecretNames } from "./secret-names.ts";
import { hasPassword, isSecretName, isSecretValue, isStandIn, isToken, placeOfUrl, readUrl } from "./tokens.ts";
import { isHostsOwn, replaceVariables, soleVariable, type VariableContext } from "./variables.ts";

/** What the servers of one client's file have in common while they become firebreak's. */
export interface Conversion {
  home: string;
  folder: string;
  /** Tokens that stand in the file become secrets; otherwise they stay, and are told. */
  moveTokens: boolean;
  names: SecretNames;
}

export function createConversion(options: Omit<Conversion, "names">): Conversion {
  return { ...options, names: new SecretNames() };
}

/** A server as `[servers.NAME]` would have it, before it is checked. */
export interface ConvertedServer {
  table: Record<string, unknown>;
  /** Its lines are those of the client's file. */
  document: ConfigDocument;
  warnings: ConfigWarning[];
  /** For people who read the table, by key; "" is of the whole. */
  notes: { key: string; text: string }[];
}

export function toServerTable(entry: ClientEntry, conversion: Conversion): ConvertedServer {
  return new Converter(entry, conversion).convert();
}

/** Keys of clients that say nothing of what a server is. */
const LEFT_OUT = new Set(
  "$schema _comment alwaysAllow auth autoApprove cors description dev disabledReason env_vars gallery icon icons id instructions label metadata name note notes oauth provider registry required sandbox sandboxEnabled scopes settings source startup_timeout_sec startup_timeout_ms startupTimeout title trust version".split(
    " ",
  ),
);
/** They would matter, and nothing here can follow them. */
const NOT_FOLLOWED: Record<string, string> = {
  envFile: "its variables are not read: give those that the server needs in env or secrets",
  env_http_headers: "its headers are left out: name secrets in headers, in the place of values",
};
const HANDLED = new Set(
  "command args env environment cwd url httpUrl serverUrl type transport headers http_headers bearer_token_env_var enabled disabled includeTools excludeTools enabledTools disabledTools enabled_tools disabled_tools tools timeout tool_timeout_sec firebreak".split(
    " ",
  ),
);
/** Keys of firebreak's own that may stand beside the client's. */
const OWN_KEYS = Object.keys(serverTableSchema.shape).filter((key) => !HANDLED.has(key));

class Converter {
  readonly #entry: ClientEntry;
  readonly #conversion: Conversion;
  readonly #warnings: ConfigWarning[] = [];
  readonly #notes: ConvertedServer["notes"] = [];
  /** Where in the file a key of the table comes from. */
  readonly #origins = new Map<string, { path: KeyPath; isWhole: boolean }>();
  readonly #secrets = new Map<string, FoundSecret>();
  readonly #hosts = new Set<string>();
  /** Of URLs among its variables: where it is told to go. */
  readonly #told = new Set<string>();
  readonly #paths: string[] = [];

  constructor(entry: ClientEntry, conversion: Conversion) {
    this.#entry = entry;
    this.#conversion = conversion;
  }

  convert(): ConvertedServer {
    const { value } = this.#entry;
    const own = this.#readOwn();
    const table: Record<string, unknown> = {};
    const url = value.url ?? value.httpUrl ?? value.serverUrl;
    const words = this.#wordsOf(value);
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
    return { table, document: this.#document(), warnings: this.#warnings, notes: this.#notes };
  }

  /** firebreak's own keys, beside the client's or in `firebreak`. Unknown ones are told. */
  #readOwn(): Record<string, unknown> {
    const { value } = this.#entry;
    const own: Record<string, unknown> = { ...value.firebreak };
    for (const key of Object.keys(own)) this.#origins.set(key, { path: ["firebreak", key], isWhole: true });
    for (const [key, given] of Object.entries(value)) {
      if (HANDLED.has(key) || LEFT_OUT.has(key)) continue;
      const why = Object.hasOwn(NOT_FOLLOWED, key) ? NOT_FOLLOWED[key] : undefined;
      if (OWN_KEYS.includes(key)) own[key] = given;
      else if (why !== undefined) this.#warn([key], why);
      else this.#refuseMisspelt(key);
    }
    return own;
  }

  #refuseMisspelt(key: string): void {
    const nearest = findNearest(key, [...HANDLED, ...OWN_KEYS]);
    const { document, path: at } = this.#entry;
    if (nearest === undefined) {
      this.#warn([key], "nothing here knows this key: it is left out");
      return;
    }
    throw configError(
      { file: document.file, line: document.lineOf([...at, key]) },
      `there is no key '${formatKey([...at, key])}', did you mean '${nearest}'?`,
    );
  }

  #wordsOf({ command, args = [] }: ClientServer): string[] {
    if (command === undefined) return [];
    const first =
      typeof command === "string"
        ? [command]
        : Array.isArray(command)
          ? command
          : [command.path, ...(command.args ?? [])];
    const words = [...first, ...args];
    // How commands are written for Windows.
    return words[0] === "cmd" && /^\/c$/i.test(words[1] ?? "") ? words.slice(2) : words;
  }

  #addCommon(table: Record<string, unknown>, value: ClientServer): void {
    if (value.enabled === false || value.disabled === true) table.enabled = false;
    this.#origins.set("enabled", { path: [value.enabled === false ? "enabled" : "disabled"], isWhole: false });
    const tools = toolsOf(value);
    if (tools !== undefined) table.tools = tools.table;
    if (tools !== undefined) this.#origins.set("tools", { path: [tools.key], isWhole: tools.key === "tools" });
    const seconds = value.tool_timeout_sec;
    if (typeof seconds === "number" && seconds > 0) table.limits = { call_timeout: `${seconds}s` };
    if (typeof value.timeout === "number" && value.timeout >= 100)
      table.limits = { call_timeout: `${Math.round(value.timeout)}ms` };
    this.#origins.set("limits", { path: [seconds === undefined ? "timeout" : "tool_timeout_sec"], isWhole: false });
  }

  #addRemote(
    table: Record<string, unknown>,
    url: string,
    { headers, urlKey }: { headers: Record<string, string | null>; urlKey: string },
  ): void {
    const { value } = this.#entry;
    this.#origins.set("url", { path: [urlKey], isWhole: false });
    const parsed = readUrl(url);
    const host = parsed === undefined ? undefined : placeOfUrl(parsed);
    const hosts = host === undefined ? [] : [host];
    table.url = this.#moveQuery(this.#replace(url, urlKey, hosts), urlKey, hosts);
    if (value.type === "sse" || value.transport === "sse") table.transport = "sse";
    const found: Record<string, string> = {};
    for (const [name, given] of Object.entries(headers))
      if (given !== null) found[name] = this.#header(name, given, hosts);
    const bearer = value.bearer_token_env_var;
    if (bearer !== undefined)
      found.Authorization = `Bearer ${referTo(this.#secretFor(`env:${bearer}`, { wanted: bearer, from: bearer, hosts }))}`;
    if (Object.keys(found).length > 0) table.headers = found;
    this.#origins.set("headers", { path: [value.headers === undefined ? "http_headers" : "headers"], isWhole: true });
    const ignored = value.env ?? value.environment;
    if (ignored !== undefined && Object.keys(ignored).length > 0)
      this.#warn(["env"], "a server with a url has no environment: it is left out");
  }

  #header(name: string, given: string, hosts: readonly string[]): string {
    const value = this.#replace(given, "headers", hosts);
    const [, scheme = "", token = ""] = /^((?:Bearer|Basic|Token|ApiKey)\s+)?(.*)$/is.exec(value) ?? [];
    if (
      secretsIn(value).length > 0 ||
      !(isSecretValue(name.replaceAll("-", "_"), token) || (scheme !== "" && token !== ""))
    )
      return value;
    const wanted = /^authorization$/i.test(name)
      ? `${this.#entry.name}_TOKEN`.toUpperCase()
      : `${this.#entry.name}_${name}`.toUpperCase();
    return `${scheme}${this.#literal(token, { wanted, key: ["headers", name], hosts })}`;
  }

  /** Tokens among the parameters of a URL. */
  #moveQuery(url: string, key: string, hosts: readonly string[]): string {
    return url.replaceAll(/([?&])([^=&#]+)=([^&#]*)/g, (whole, sign: string, name: string, given: string) => {
      if (secretsIn(given).length > 0 || !isSecretValue(name, given)) return whole;
      return `${sign}${name}=${this.#literal(decode(given), { wanted: `${this.#entry.name}_${name}`.toUpperCase(), key: [key], hosts })}`;
    });
  }

  #addProgram(table: Record<string, unknown>, words: readonly string[], own: Record<string, unknown>): void {
    const { value, name } = this.#entry;
    const container = readContainerCommand(words);
    // Zed's older form.
    const inCommand =
      typeof value.command === "object" && !Array.isArray(value.command) ? value.command.env : undefined;
    const env = { ...inCommand, ...value.env, ...value.environment, ...takeTexts(own, "env") };
    this.#origins.set("env", { path: [value.env === undefined ? "environment" : "env"], isWhole: true });
    for (const key of ["args", "allowed_paths", "image", "cwd"])
      if (!this.#origins.has(key) && (key !== "cwd" || container?.cwd !== undefined))
        this.#origins.set(key, { path: ["args"], isWhole: false });
    const known = findKnownServer(container?.args ?? words, container?.image);
    if (container !== undefined) {
      table.image = container.image;
      for (const option of container.ignored) this.#warn(["args"], `'${option}' is left out: a VM is not run that way`);
      for (const entry of container.paths) this.#paths.push(this.#volume(this.#replace(entry, "args")));
      // `-e NAME` passes on what the client has given docker.
      for (const [variable, given] of Object.entries(container.env)) env[variable] ??= given ?? `\${${variable}}`;
    }
    const folder = container?.cwd ?? value.cwd;
    if (folder !== undefined) table.cwd = this.#absolute(this.#replace(folder, "cwd"));
    if (value.cwd !== undefined && container === undefined) this.#note("cwd", "in the VM, too: allowed_paths shows it");
    const variables = this.#environment(env, known);
    const given = container?.args ?? words;
    const args = this.#arguments(given, known);
    if (container === undefined) table.command = args;
    else if (container.entrypoint !== undefined) table.command = [container.entrypoint, ...args];
    else if (args.length > 0) table.args = args;
    if (words.length === 0 && own.image === undefined) delete table.command;
    if (Object.keys(variables).length > 0) table.env = variables;
    if (this.#paths.length > 0) table.allowed_paths = this.#paths;
    for (const host of known?.hosts ?? this.#told) this.#hosts.add(host);
    if (known === undefined) this.#tellOfPaths(args);
    if (known?.note !== undefined) this.#note("", known.note);
    this.#addNetwork(table, { own, name, known });
  }

  /** A script of this host is not in the VM; whether it may see the folder is for its owner to say. */
  #tellOfPaths(words: readonly string[]): void {
    const shown = this.#paths.length > 0;
    for (const word of words) {
      if (shown || !/^\/(?!(?:usr|bin|opt|sbin|etc)\/)[^:]*\/[^:]*$/.test(word)) continue;
      const text = `${word} is a path of this host: ${JSON.stringify(path.dirname(word))} in allowed_paths shows it to the server`;
      this.#note("", text);
      this.#warn(["args"], text);
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
      const place = url !== undefined && /^https?:$/.test(url.protocol) ? this.#placeOf(url, ["env", name]) : undefined;
      if (place !== undefined) this.#told.add(place);
    }
    return left;
  }

  #variable(name: string, given: string, known: KnownServer | undefined): string | undefined {
    const sole = soleVariable(given);
    const hosts = known?.hosts ?? [];
    if (sole !== undefined && isHostsOwn(sole.name)) {
      this.#warn(["env", name], `it is left out: this host's ${sole.name} means nothing in a VM`);
      return undefined;
    }
    if (sole !== undefined && sole.name !== "HOME" && (!sole.fallback || isSecretName(name)))
      return referTo(this.#secretFor(`${sole.kind}:${sole.name}`, { wanted: name, from: given, hosts }));
    const value = this.#replace(given, "env", hosts);
    if (isStandIn(value) && isSecretName(name))
      return referTo(this.#secretFor(`name:${name}`, { wanted: name, from: "a value that is none yet", hosts }));
    if (secretsIn(value).length > 0 || !isSecretValue(name, value)) return value;
    return this.#literal(value, { wanted: name, key: ["env", name], hosts });
  }

  /** Paths of this host become those that the server sees; tokens become secrets. */
  #arguments(words: readonly string[], known: KnownServer | undefined): string[] {
    const result: string[] = [];
    const packageAt = words.findIndex((word) => known?.packages.includes(packageOf(word)));
    for (const [index, given] of words.entries()) {
      const before = words[index - 1] ?? "";
      const word = this.#replace(given, "args", known?.hosts);
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
    const value = this.#literal(text, { wanted, key: ["args"], hosts });
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
    const secrets = [...this.#secrets.values()];
    const items = secrets.map((secret) =>
      secret.expose === undefined ? secret.name : { name: secret.name, expose: secret.expose },
    );
    if (items.length > 0) table.secrets = [...items, ...(Array.isArray(own.secrets) ? own.secrets : [])];
    if (items.length > 0) delete own.secrets;
    if (!this.#origins.has("secrets")) this.#origins.set("secrets", { path: ["env"], isWhole: false });
    for (const key of ["allowed_hosts", "network"])
      if (!this.#origins.has(key) && own[key] === undefined) this.#origins.set(key, { path: [], isWhole: false });
    if (["network", "allowed_hosts", "vm_profile"].some((key) => own[key] !== undefined)) return;
    const [only] = this.#told.size === 1 ? this.#told : [];
    for (const secret of secrets)
      if (secret.hosts.length === 0 && secret.expose === undefined && only !== undefined) secret.hosts = [only];
    for (const host of secrets.flatMap((secret) => secret.hosts)) this.#hosts.add(host);
    const hosts = [...this.#hosts];
    if (hosts.length > 0) table.allowed_hosts = hosts;
    else if (secrets.length > 0) {
      table.network = "allowlist";
      table.allowed_hosts = [];
      this.#note("allowed_hosts", `the hosts that ${name} needs: without one it reaches nothing`);
      if (!this.#conversion.moveTokens) this.#warn(["env"], "nobody has said which hosts it needs: it reaches nothing");
    } else if (known === undefined)
      this.#note("", 'it has no network; allowed_hosts = ["HOST"] lets it reach HOST, and nothing else');
    for (const secret of secrets)
      if (secret.hosts.length === 0 && secret.expose === undefined)
        this.#note(
          "secrets",
          `hosts = [...]: say where ${secret.name} may go, with: firebreak secret set ${secret.name} --host HOST`,
        );
  }

  /** A token that stands in the file: a reference to its secret, or itself where tokens stay. */
  #literal(value: string, { wanted, key, hosts }: { wanted: string; key: KeyPath; hosts: readonly string[] }): string {
    const from = formatKey([...this.#entry.path, ...key]);
    if (isStandIn(value))
      return referTo(this.#secretFor(`name:${wanted}`, { wanted, from: "a value that is none yet", hosts }));
    const url = hasPassword(value) ? readUrl(value) : undefined;
    const place = url === undefined ? undefined : this.#placeOf(url, key);
    if (!this.#conversion.moveTokens) {
      const known = place === undefined ? (hostsOfToken(wanted) ?? []) : [place];
      for (const host of known) this.#hosts.add(host);
      this.#warn(
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
  #placeOf(url: URL, key: KeyPath): string | undefined {
    const place = placeOfUrl(url);
    if (/^(?:localhost|127\.|\[?::1|host\.docker\.internal)/.test(url.hostname)) {
      const text = `${url.hostname} is the VM itself there: give this host a name with host_addresses, and allow it with { host = "NAME:PORT", private = true }`;
      this.#note("secrets", text);
      this.#warn(key, text);
      return undefined;
    }
    return place !== undefined && !("why" in parseRule(place, new Map(), WEB_PORTS)) ? place : undefined;
  }

  #secretFor(
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
      this.#warn(
        [],
        `it needs the secret ${secret.name}, which stands for ${what}: firebreak secret set ${secret.name}${source}`,
      );
    }
    return secret.name;
  }

  #replace(text: string, key: string, hosts?: readonly string[]): string {
    const context: VariableContext = {
      home: this.#conversion.home,
      folder: this.#conversion.folder,
      inputs: this.#entry.inputs,
      secretFor: (identity, about) =>
        this.#secretFor(identity, { ...about, ...(hosts === undefined ? {} : { hosts }) }),
      warn: (message) => this.#warn([key], message),
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
      if (url !== undefined) this.#placeOf(url, [key]);
      if (key !== "headers" && key !== "url") this.#secrets.set(secret.name, secret);
    }
    return left;
  }

  #warn(key: KeyPath, message: string): void {
    const { document, path: at } = this.#entry;
    const whole = [...at, ...key];
    this.#warnings.push({ line: document.lineOf(whole), key: formatKey(whole), message });
  }

  #note(key: string, text: string): void {
    this.#notes.push({ key, text });
  }

  /** Paths of the table (`servers.NAME.…`) as the file has them. */
  #document(): ConfigDocument {
    const { document, path: at } = this.#entry;
    const nameOf = ([, , key, ...rest]: KeyPath): KeyPath => {
      if (key === undefined) return at;
      const origin = this.#origins.get(String(key));
      if (origin === undefined) return [...at, key, ...rest];
      return [...at, ...origin.path, ...(origin.isWhole ? rest : [])];
    };
    return { file: document.file, value: document.value, nameOf, lineOf: (whole) => document.lineOf(nameOf(whole)) };
  }
}

/** Takes a table of texts out of firebreak's own keys: tokens may stand in it, too. One that is none stays, to be refused. */
function takeTexts(own: Record<string, unknown>, key: string): Record<string, string> {
  const table = own[key];
  if (!isTable(table) || !Object.values(table).every((text) => typeof text === "string")) return {};
  delete own[key];
  return table as Record<string, string>;
}

function toolsOf(value: ClientServer): { table: unknown; key: string } | undefined {
  const { tools } = value;
  if (tools !== undefined && !Array.isArray(tools)) return { table: tools, key: "tools" };
  const allow = Array.isArray(tools) ? tools : (value.includeTools ?? value.enabledTools ?? value.enabled_tools);
  const deny = value.excludeTools ?? value.disabledTools ?? value.disabled_tools;
  const isAll = allow?.includes("*") === true;
  if ((allow === undefined || isAll) && (deny === undefined || deny.length === 0)) return undefined;
  return {
    table: {
      ...(allow === undefined || isAll ? {} : { allow }),
      ...(deny === undefined || deny.length === 0 ? {} : { deny }),
    },
    key: allow === undefined ? "excludeTools" : Array.isArray(tools) ? "tools" : "includeTools",
  };
}

function isPathAt(known: KnownServer | undefined, before: string, word: string, isBehindPackage: boolean): boolean {
  if (known?.paths === undefined || !isBehindPackage) return false;
  if (known.paths === "arguments") return !word.startsWith("-");
  return known.paths.includes(before);
}

/** `npx mcp-remote URL --header NAME:VALUE`: a server that runs elsewhere, behind a bridge that is not needed here. */
function readBridge(words: readonly string[]): { url: string; headers: Record<string, string> } | undefined {
  const at = words.findIndex((word) => packageOf(word) === "mcp-remote");
  const url = words[at + 1];
  if (at < 0 || at > 3 || url === undefined || !/^https?:\/\//.test(url)) return undefined;
  const headers: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    const [, name, value] = /^([\w-]+):\s*(.*)$/s.exec(word === "--header" ? (words[index + 1] ?? "") : "") ?? [];
    if (name !== undefined && value !== undefined) headers[name] = value;
  }
  return { url, headers };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
