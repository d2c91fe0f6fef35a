import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parse } from "smol-toml";
import type { EgressRule } from "../contract/policy.ts";
import { parseName } from "./names.ts";

/** A configuration file larger than this is none, bytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** What package managers use where nobody says otherwise. */
const DEFAULTS = {
  npm: ["https://registry.npmjs.org"],
  pip: ["https://pypi.org", "https://files.pythonhosted.org"],
  cargo: ["https://index.crates.io", "https://static.crates.io", "https://crates.io"],
  go: ["https://proxy.golang.org", "https://sum.golang.org"],
  apt: ["http://deb.debian.org", "http://security.debian.org"],
} as const;

export interface HostSetup {
  home: string;
  env: NodeJS.ProcessEnv;
  /** `/`, but in tests. */
  root: string;
}

/** Rules for the registries that this host's own package managers are set up with, so that mirrors work; read anew each time. */
export function readRegistries(host: HostSetup): EgressRule[] {
  const found: Record<keyof typeof DEFAULTS, string[]> = {
    npm: readNpm(host),
    pip: readPip(host),
    cargo: readCargo(host),
    go: readGo(host),
    apt: readApt(host),
  };
  const rules = new Map<string, EgressRule>();
  for (const [manager, defaults] of Object.entries(DEFAULTS)) {
    const urls = found[manager as keyof typeof DEFAULTS];
    for (const url of urls.length > 0 ? urls : defaults) {
      const rule = toRule(url);
      if (rule !== undefined) rules.set(JSON.stringify(rule), rule);
    }
  }
  return [...rules.values()];
}

/** The URLs themselves, for a VM's package managers; undefined where they use what they use by default. Credentials in one go no further. */
export function readRegistryUrls(host: HostSetup): { npm?: string | undefined; pip?: string | undefined } {
  return { npm: withoutCredentials(readNpm(host)[0]), pip: withoutCredentials(readPip(host)[0]) };
}

function withoutCredentials(text: string | undefined): string | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}

/** Undefined for what has no name; credentials in a URL go no further. */
function toRule(url: string): EgressRule | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== "https:" && protocol !== "http:") return undefined;
  const parsed = parseName(hostname);
  if ("why" in parsed) return undefined;
  const number = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  const isLocal = parsed.name === "localhost" || !parsed.name.includes(".");
  return isLocal ? { host: parsed.name, ports: number, private: true } : `${parsed.name}:${number}`;
}

/** In npm's own order: the variable, then the user's file, then the host's; what is of one scope alone comes last. */
function readNpm({ home, env, root }: HostSetup): string[] {
  const files = [
    env.npm_config_userconfig ?? path.join(home, ".npmrc"),
    path.join(root, "etc/npmrc"),
    path.join(root, "usr/etc/npmrc"),
  ];
  const found = files.flatMap(linesOf).flatMap((line) => {
    const [, scope, url] = /^(@[^:]+:)?registry\s*=\s*"?([^"\s]+)"?$/.exec(line) ?? [];
    return url === undefined ? [] : [{ url, isScoped: scope !== undefined }];
  });
  const inEnv = env.npm_config_registry ?? env.NPM_CONFIG_REGISTRY;
  const all = [...found.filter(({ isScoped }) => !isScoped), ...found.filter(({ isScoped }) => isScoped)];
  return [...(inEnv === undefined ? [] : [inEnv]), ...all.map(({ url }) => url)];
}

/** The index that packages come from, the variable's before the files', and then those that others come from. */
function readPip({ home, env, root }: HostSetup): string[] {
  const config = env.XDG_CONFIG_HOME ?? path.join(home, ".config");
  const files = [
    path.join(root, "etc/pip.conf"),
    path.join(home, ".pip/pip.conf"),
    path.join(config, "pip/pip.conf"),
    path.join(config, "uv/uv.toml"),
  ];
  if (env.PIP_CONFIG_FILE !== undefined) files.push(env.PIP_CONFIG_FILE);
  const lines = files.flatMap(linesOf);
  const inFiles = (pattern: RegExp) => lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
  const inEnv = (...names: string[]) => names.flatMap((name) => env[name] ?? []);
  return [
    ...inEnv("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    ...inFiles(/^index-url\s*=\s*(.+)$/),
    ...inEnv("PIP_EXTRA_INDEX_URL"),
    ...inFiles(/^extra-index-url\s*=\s*(.+)$/),
  ].flatMap((value) => value.replaceAll('"', "").split(/\s+/));
}

function readCargo({ home, env }: HostSetup): string[] {
  const folder = env.CARGO_HOME ?? path.join(home, ".cargo");
  for (const name of ["config.toml", "config"]) {
    const text = readText(path.join(folder, name));
    if (text === undefined) continue;
    try {
      const { source = {}, registries = {} } = parse(text) as Record<string, Record<string, Record<string, unknown>>>;
      const urls = [
        ...Object.values(source).map((each) => each.registry),
        ...Object.values(registries).map((each) => each.index),
      ];
      return urls.filter((url) => typeof url === "string").map((url) => url.replace(/^sparse\+/, ""));
    } catch {
      return [];
    }
  }
  return [];
}

function readGo({ home, env, root }: HostSetup): string[] {
  const config = env.XDG_CONFIG_HOME ?? path.join(home, ".config");
  const files = [env.GOENV ?? path.join(config, "go/env"), path.join(root, "usr/local/go/go.env")];
  const lines = files.flatMap(linesOf);
  const value = (name: string) =>
    env[name] ?? lines.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []))[0];
  const proxies = (value("GOPROXY") ?? "").split(/[,|]/).filter((word) => word.includes("://"));
  if (proxies.length === 0) return [];
  const sums = (value("GOSUMDB") ?? "").split(/\s+/).filter((word) => word !== "" && word !== "off");
  return [...proxies, ...sums.map((word) => (word.includes("://") ? word : `https://${word}`))];
}

function readApt({ root }: HostSetup): string[] {
  const folder = path.join(root, "etc/apt/sources.list.d");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /\.(?:list|sources)$/.test(name)) : [];
  const files = [path.join(root, "etc/apt/sources.list"), ...names.map((name) => path.join(folder, name))];
  return files.flatMap(linesOf).flatMap((line) => {
    const [, one, many] = /^(?:deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)|URIs:\s*(.+))/.exec(line) ?? [];
    return (one ?? many ?? "").split(/\s+/).filter((word) => word !== "");
  });
}

function linesOf(file: string): string[] {
  return (readText(file) ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^[#;]/.test(line));
}

function readText(file: string): string | undefined {
  try {
    return statSync(file).size > MAX_FILE_BYTES ? undefined : readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
