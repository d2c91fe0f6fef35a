import { readFile, stat } from "node:fs/promises";
import { parse } from "smol-toml";
import { type DefinitionKind, SEVERITIES, type Severity } from "../../contract/scan.ts";
import { SERVER_NAME_PATTERN } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findNearest } from "../../errors/nearest.ts";
import { quoteBriefly, replaceHidden } from "../../platform/hidden-text.ts";
import { writeAtomic } from "../../platform/write-atomic.ts";
import { EMPTY_LOCK, type Lock, type LockScan, type LockServer, noDefinitions } from "./lock.ts";

/**
 * firebreak.lock: TOML of a plain kind, a line for each fact, in one order. What one sees in a diff of it is what has changed, and what is
 * hidden in a name is written out.
 */
const VERSION = 1;
const HEAD = `# Written by firebreak: what MCP servers offered when it was approved. What differs is stopped until it is approved, too.
version = ${VERSION}
`;
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_LINE = 32 * 1024;
const SECTIONS: Record<string, DefinitionKind> = {
  tools: "tool",
  prompts: "prompt",
  resources: "resource",
  resource_templates: "resource_template",
};
const FACTS = [
  "package",
  "package_version",
  "package_digest",
  "packages_digest",
  "image",
  "image_digest",
  "protocol",
  "scan",
  "scanned_at",
] as const;
type Fact = (typeof FACTS)[number];
const VERDICTS = ["ok", "warning", "danger", "failed"] as const;
const HASH = /^sha256:[0-9a-f]{64}$/;

export function formatLock(lock: Lock): string {
  return (
    HEAD +
    [...lock]
      .sort(byName)
      .map(([name, server]) => `\n${formatServer(name, server)}`)
      .join("")
  );
}

function formatServer(name: string, { definitions, scan, ...facts }: LockServer): string {
  const lines = [`[servers.${name}]`];
  const values: Record<Fact, string | undefined> = {
    package: facts.package,
    package_version: facts.packageVersion,
    package_digest: facts.packageDigest,
    packages_digest: facts.packagesDigest,
    image: facts.image,
    image_digest: facts.imageDigest,
    protocol: facts.protocolVersion,
    scan: scan?.verdict,
    scanned_at: scan?.at,
  };
  for (const fact of FACTS) if (values[fact] !== undefined) lines.push(`${fact} = ${quote(values[fact])}`);
  const add = (section: string, entries: ReadonlyMap<string, string>) => {
    if (entries.size === 0) return;
    lines.push("", `[servers.${name}.${section}]`);
    for (const [key, value] of [...entries].sort(byName)) lines.push(`${formatKey(key)} = ${quote(value)}`);
  };
  for (const [section, kind] of Object.entries(SECTIONS)) add(section, definitions[kind]);
  add("findings", scan?.findings ?? new Map());
  return `${lines.join("\n")}\n`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function formatKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : quote(key);
}

/** A basic string of TOML. What is hidden, or cannot stand in one, is an escape; a lone surrogate, which is no character, U+FFFD. */
function quote(text: string): string {
  const escaped = text.toWellFormed().replace(/["\\\n\r\t]/g, (char) => ESCAPES[char] ?? char);
  return `"${replaceHidden(escaped, (point) => `\\U${point.toString(16).padStart(8, "0")}`)}"`;
}

const ESCAPES: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Throws SERVER_LOCK_INVALID, which names the line. */
export function parseLock(text: string, file = "firebreak.lock"): Lock {
  return new LockParser(file).parse(text);
}

interface OpenServer {
  facts: Map<Fact, string>;
  findings: Map<string, Severity>;
  definitions: Record<DefinitionKind, Map<string, string>>;
  sections: Set<string>;
  line: number;
}

class LockParser {
  readonly #file: string;
  readonly #servers = new Map<string, OpenServer>();
  #line = 0;
  #hasVersion = false;
  #server: OpenServer | undefined;
  /** Undefined: the facts of the server. */
  #section: string | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  parse(text: string): Lock {
    if (text.length > MAX_BYTES) throw this.#fault("the file is too large");
    for (const line of text.split("\n")) {
      this.#line++;
      if (line.length > MAX_LINE) throw this.#fault("the line is too long");
      this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (!this.#hasVersion) throw this.#fault("there is no 'version'");
    return new Map([...this.#servers].map(([name, server]) => [name, this.#finish(name, server)]));
  }

  #take(line: string): void {
    if (/^\s*(?:#|$)/.test(line)) return;
    if (/^(?:<{7}|={7}|>{7}|\|{7})/.test(line))
      throw this.#fault("a conflict of two versions has been left in the file");
    if (line.startsWith("[")) this.#open(line);
    else this.#entry(...this.#read(line));
  }

  #open(line: string): void {
    const [, name = "", section] = /^\[servers\.([^.\]"']+)(?:\.([a-z_]+))?\]\s*$/.exec(line) ?? [];
    if (!SERVER_NAME_PATTERN.test(name))
      throw this.#fault(`'${quoteBriefly(line)}' is not [servers.NAME] or [servers.NAME.SECTION]`);
    if (!this.#hasVersion) throw this.#fault("'version' comes before the servers");
    const known = this.#servers.get(name);
    if (section === undefined) {
      if (known !== undefined) throw this.#fault(`the server '${name}' is here twice, first in line ${known.line}`);
      this.#server = {
        facts: new Map(),
        findings: new Map(),
        definitions: noDefinitions(),
        sections: new Set(),
        line: this.#line,
      };
      this.#servers.set(name, this.#server);
    } else {
      if (known === undefined) throw this.#fault(`[servers.${name}] comes before its sections`);
      if (section !== "findings" && !Object.hasOwn(SECTIONS, section))
        throw this.#unknown(section, [...Object.keys(SECTIONS), "findings"]);
      if (known.sections.has(section)) throw this.#fault(`the section '${section}' of '${name}' is here twice`);
      known.sections.add(section);
      this.#server = known;
    }
    this.#section = section;
  }

  #entry(key: string, value: unknown): void {
    if (this.#server === undefined) {
      if (key !== "version") throw this.#unknown(key, ["version"]);
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1)
        throw this.#fault("'version' is a whole number");
      if (value > VERSION) throw this.#fault(`version ${value} was written by a newer firebreak`);
      if (this.#hasVersion) throw this.#fault("'version' is here twice");
      this.#hasVersion = true;
      return;
    }
    if (typeof value !== "string") throw this.#fault(`'${quoteBriefly(key)}' is a string`);
    if (this.#section === undefined) this.#fact(this.#server, key, value);
    else if (this.#section === "findings") {
      const severity = SEVERITIES.find((one) => one === value);
      if (severity === undefined)
        throw this.#fault(`a finding is ${SEVERITIES.join(", ")}, not '${quoteBriefly(value)}'`);
      this.#put(this.#server.findings, key, severity);
    } else {
      if (!HASH.test(value))
        throw this.#fault(`'${quoteBriefly(key)}' has no hash (sha256: and 64 hexadecimal digits)`);
      this.#put(this.#server.definitions[SECTIONS[this.#section] as DefinitionKind], key, value);
    }
  }

  #fact(server: OpenServer, key: string, value: string): void {
    const fact = FACTS.find((one) => one === key);
    if (fact === undefined) throw this.#unknown(key, [...FACTS]);
    if (fact === "scan" && !(VERDICTS as readonly string[]).includes(value))
      throw this.#fault(`'scan' is ${VERDICTS.join(", ")}, not '${quoteBriefly(value)}'`);
    if (fact === "scanned_at" && !/^\d{4}-\d\d-\d\dT[\d:.]{8,12}Z$/.test(value))
      throw this.#fault("'scanned_at' is a time such as 2026-01-31T12:00:00Z");
    this.#put(server.facts, fact, value);
  }

  #put<K, V>(map: Map<K, V>, key: K, value: V): void {
    if (map.has(key)) throw this.#fault(`'${quoteBriefly(String(key))}' is here twice`);
    map.set(key, value);
  }

  /** Each line by itself, so that a fault is of that line. */
  #read(line: string): [string, unknown] {
    let value: object;
    try {
      value = parse(line);
    } catch (error) {
      const [why = ""] = (error as Error).message.replace(/^Invalid TOML document: /, "").split("\n");
      throw this.#fault(why === "" ? "it is not TOML" : why);
    }
    const [entry, ...more] = Object.entries(value);
    if (entry === undefined || more.length > 0) throw this.#fault("it is not of the form NAME = VALUE");
    return entry;
  }

  #finish(name: string, { facts, findings, definitions, line }: OpenServer): LockServer {
    const [verdict, at] = [facts.get("scan") as LockScan["verdict"] | undefined, facts.get("scanned_at")];
    this.#line = line;
    if ((verdict === undefined) !== (at === undefined) || (verdict === undefined && findings.size > 0))
      throw this.#fault(`'scan' and 'scanned_at' of '${name}' go together, and findings with both`);
    const optional = (member: string, fact: Fact) => (facts.has(fact) ? { [member]: facts.get(fact) } : {});
    return {
      ...optional("package", "package"),
      ...optional("packageVersion", "package_version"),
      ...optional("packageDigest", "package_digest"),
      ...optional("packagesDigest", "packages_digest"),
      ...optional("image", "image"),
      ...optional("imageDigest", "image_digest"),
      ...optional("protocolVersion", "protocol"),
      ...(verdict === undefined || at === undefined ? {} : { scan: { verdict, at, findings } }),
      definitions,
    };
  }

  #unknown(key: string, known: string[]): FirebreakError {
    const nearest = findNearest(key, known);
    const meant = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean '${nearest}'?`;
    return this.#fault(`there is no '${quoteBriefly(key)}' here, ${meant}`);
  }

  #fault(why: string): FirebreakError {
    return new FirebreakError("SERVER_LOCK_INVALID", `${this.#file}:${this.#line}: ${why}`, {
      hint: "It is written by firebreak: bring back a version from before, or delete it and approve what the servers offer.",
      details: { file: this.#file, line: this.#line },
    });
  }
}

/** What is in a file; an absent one is empty. Throws SERVER_LOCK_INVALID. */
export async function readLock(file: string): Promise<Lock> {
  try {
    if ((await stat(file)).size > MAX_BYTES)
      throw new FirebreakError("SERVER_LOCK_INVALID", `${file}: the file is too large`);
    return parseLock(await readFile(file, "utf8"), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return EMPTY_LOCK;
    throw error;
  }
}

/** Whole or not at all, whoever dies meanwhile; a file that is the same already stays as it is. */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  const text = formatLock(lock);
  const before = await readFile(file, "utf8").catch(() => undefined);
  if (before !== text) await writeAtomic(file, text);
}
