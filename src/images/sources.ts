import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** The Debian release that kernel and image come from. */
export const DEBIAN_SUITE = "bookworm";

/** Where Debian is fetched when neither the environment nor the host's own sources say otherwise (as in apt and mmdebstrap). */
const DEFAULT_MIRROR = "http://deb.debian.org";

/** Suites by which a host's source is known to be a Debian mirror; every mirror has all current releases. */
const DEBIAN_SUITES = ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

/** One entry of an apt source list. */
export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  signedBy: string | undefined;
}

/** Where the Debian archive is. */
export interface DebianArchive {
  /** URI of the main archive. */
  main: string;
  /** URI of the security archive; undefined when the user wants none. */
  security: string | undefined;
}

/**
 * The archive to fetch from: FIREBREAK_DEBIAN_MIRROR (and FIREBREAK_DEBIAN_SECURITY_MIRROR, "none" for no security
 * updates), else what the host's apt uses, else Debian's default mirror.
 */
export async function findDebianArchive(env: NodeJS.ProcessEnv, aptFolder = "/etc/apt"): Promise<DebianArchive> {
  const host = pickDebianArchive(await readHostSources(aptFolder));
  const main = env.FIREBREAK_DEBIAN_MIRROR || host.main || `${DEFAULT_MIRROR}/debian`;
  const security = env.FIREBREAK_DEBIAN_SECURITY_MIRROR || host.security || `${DEFAULT_MIRROR}/debian-security`;
  return { main: checkUri(main), security: security === "none" ? undefined : checkUri(security) };
}

/** What a guest's own apt should use: the same archive where the guest can reach it and its URI holds no password. */
export function guestArchive(archive: DebianArchive): DebianArchive {
  const usable = (uri: string | undefined, fallback: string) =>
    uri !== undefined && /^https?:\/\/[^@]+$/.test(uri) && !isLocalHost(uri) ? uri : `${DEFAULT_MIRROR}/${fallback}`;
  return { main: usable(archive.main, "debian"), security: usable(archive.security, "debian-security") };
}

/** The lines of a sources.list. Only packages that the keyring's keys have signed will be accepted. */
export function renderSources(archive: DebianArchive, keyring: string, debArch: string): string {
  const line = (uri: string, suite: string) => `deb [arch=${debArch} signed-by=${keyring}] ${uri} ${suite} main\n`;
  let text = line(archive.main, DEBIAN_SUITE);
  if (archive.security !== undefined) text += line(archive.security, `${DEBIAN_SUITE}-security`);
  return text;
}

/** The URIs of the Debian archive among a host's sources; those of our release first. Ubuntu's and others' do not count. */
export function pickDebianArchive(sources: AptSource[]): { main: string | undefined; security: string | undefined } {
  const debian = sources.filter((source) => source.components.includes("main") && isDebianSigned(source.signedBy));
  const withSuite = (suite: string) => debian.find((source) => source.suites.includes(suite))?.uris[0];
  const first = (suffix: string) => {
    for (const suite of DEBIAN_SUITES) {
      const uri = withSuite(suite + suffix);
      if (uri !== undefined) return uri;
    }
    return undefined;
  };
  return { main: first(""), security: first("-security") };
}

/** A third party's repository may well be called "bookworm main"; its key tells it apart. No key named: apt's own keyring. */
function isDebianSigned(signedBy: string | undefined): boolean {
  return signedBy === undefined || path.basename(signedBy).startsWith("debian-archive-");
}

/** Parses a one-line-style source list (sources.list(5)); binary entries only. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) continue;
    const options = match[1] ?? "";
    if (/\benabled=no\b/i.test(options)) continue;
    sources.push({
      uris: [match[2] as string],
      suites: [match[3] as string],
      components: words(match[4] ?? ""),
      signedBy: /signed-by=(\S+)/i.exec(options)?.[1],
    });
  }
  return sources;
}

/** Parses deb822-style sources (sources.list(5)); disabled entries and those without binary packages are left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const uncommented = text.split(/\r?\n/).filter((line) => !line.startsWith("#"));
  for (const stanza of uncommented.join("\n").split(/\n[ \t]*\n/)) {
    const fields = parseFields(stanza);
    if (/^(no|false|0|off|without|disable)$/i.test(fields.get("enabled") ?? "yes")) continue;
    if (!words(fields.get("types") ?? "").includes("deb")) continue;
    const uris = words(fields.get("uris") ?? "");
    if (uris.length === 0) continue;
    sources.push({
      uris,
      suites: words(fields.get("suites") ?? ""),
      components: words(fields.get("components") ?? ""),
      signedBy: fields.get("signed-by"),
    });
  }
  return sources;
}

function parseFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last: string | undefined;
  for (const line of stanza.split("\n")) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/.exec(line);
    if (match !== null) {
      last = (match[1] as string).toLowerCase();
      fields.set(last, (match[2] as string).trim());
    } else if (last !== undefined && /^[ \t]/.test(line)) {
      fields.set(last, `${fields.get(last)} ${line.trim()}`.trim());
    }
  }
  return fields;
}

async function readHostSources(aptFolder: string): Promise<AptSource[]> {
  const parts = path.join(aptFolder, "sources.list.d");
  const names = (await readdir(parts).catch(() => [] as string[])).sort();
  const sources = parseOneLineSources(await readText(path.join(aptFolder, "sources.list")));
  for (const name of names) {
    const text = await readText(path.join(parts, name));
    if (name.endsWith(".list")) sources.push(...parseOneLineSources(text));
    if (name.endsWith(".sources")) sources.push(...parseDeb822Sources(text));
  }
  return sources;
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => "");
}

function checkUri(uri: string): string {
  // A space or a bracket would end the URI inside the source list and begin options of its own.
  if (/^[a-z][a-z0-9+.-]*:\/?[^\s[\]]+$/i.test(uri)) return uri;
  throw new FirebreakError("INVALID_ARGUMENT", `${JSON.stringify(uri)} is not the URI of a Debian mirror`, {
    hint: "FIREBREAK_DEBIAN_MIRROR is a URI such as http://mirror.example/debian.",
  });
}

function isLocalHost(uri: string): boolean {
  return /^https?:\/\/(localhost|127\.|\[::1\])/.test(uri);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
