import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type DebianArchive, renderSources } from "./sources.ts";
import { runTool } from "./tools.ts";

/**
 * An apt of our own below one folder: nothing of the host's apt is read or written except its proxy and TLS settings and
 * its /etc/apt/auth.conf, and no root is needed.
 */
export interface AptSandbox {
  folder: string;
  env: NodeJS.ProcessEnv;
}

export interface AptPackage {
  name: string;
  version: string;
  /** As in the package's control data, such as "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)". */
  depends: string[];
  sha256: string;
  sizeBytes: number;
}

/** What apt must refuse, whatever the host's own configuration allows. */
const STRICT_OPTIONS = [
  'APT::Get::AllowUnauthenticated "false";',
  'Acquire::AllowInsecureRepositories "false";',
  'Acquire::AllowWeakRepositories "false";',
  'Acquire::AllowDowngradeToInsecureRepositories "false";',
  // Without it an index that could not be fetched is a warning, and an old one is used in silence.
  'APT::Update::Error-Mode "any";',
];

/** Settings of the host's apt that say how to reach a mirror, and how old an archive may be. */
const INHERITED = /^Acquire::(https?(::|$)|Check-(Valid-Until|Date)$)/;

/** Lays out the folder. `keyring` holds the only keys that are trusted. */
export async function createAptSandbox(
  folder: string,
  archive: DebianArchive,
  keyring: string,
  debArch: string,
  env: NodeJS.ProcessEnv,
): Promise<AptSandbox> {
  for (const name of ["state/lists/partial", "cache/archives/partial", "etc/empty"]) {
    await mkdir(path.join(folder, name), { recursive: true });
  }
  const config = path.join(folder, "apt.conf");
  await writeFile(path.join(folder, "state/status"), "");
  await writeFile(path.join(folder, "etc/sources.list"), renderSources(archive, keyring, debArch));
  const own = {
    "Dir::State": path.join(folder, "state"),
    "Dir::State::status": path.join(folder, "state/status"),
    "Dir::Cache": path.join(folder, "cache"),
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": path.join(folder, "etc/empty"),
    "Dir::Etc::sourcelist": path.join(folder, "etc/sources.list"),
    "Dir::Etc::sourceparts": path.join(folder, "etc/empty"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": path.join(folder, "etc/empty"),
    "Dir::Etc::trusted": "/dev/null",
    "Dir::Etc::trustedparts": path.join(folder, "etc/empty"),
    "APT::Architecture": debArch,
    // apt would fetch as the user _apt, which may not enter our folders, and cannot become it without root.
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
  };
  const lines = [...Object.entries(own).map(([key, value]) => `${key} "${value}";`), ...STRICT_OPTIONS];
  lines.push(...(await readHostAcquireOptions(env)));
  await writeFile(config, `${lines.join("\n")}\n`);
  return { folder, env: { ...env, APT_CONFIG: config, LC_ALL: "C.UTF-8" } };
}

/** apt.conf lines for another apt (mmdebstrap's): as strict, and reaching mirrors as the host's apt does. */
export async function strictAptOptions(env: NodeJS.ProcessEnv): Promise<string[]> {
  return [...STRICT_OPTIONS, ...(await readHostAcquireOptions(env))];
}

async function readHostAcquireOptions(env: NodeJS.ProcessEnv): Promise<string[]> {
  const dump = await runTool("apt-config", ["dump", "--no-empty", "--format", "%F=%v%n", "Acquire"], {
    env,
    allowFailure: true,
  });
  const lines: string[] = [];
  for (const line of dump.stdout.split("\n")) {
    const at = line.indexOf("=");
    const key = line.slice(0, at);
    const value = line.slice(at + 1);
    if (at > 0 && INHERITED.test(key) && !/["\n]/.test(value)) lines.push(`${key} "${value}";`);
  }
  return lines;
}

/** Fetches the indexes. Throws TOOL_FAILED when one is missing, unsigned or wrongly signed. */
export async function updateApt(apt: AptSandbox, signal?: AbortSignal): Promise<void> {
  await runTool("apt-get", ["-qq", "update"], { env: apt.env, ...withSignal(signal) });
}

/** The package that apt would install, or undefined. */
export async function showPackage(
  apt: AptSandbox,
  name: string,
  signal?: AbortSignal,
): Promise<AptPackage | undefined> {
  const shown = await runTool("apt-cache", ["show", "--no-all-versions", name], {
    env: apt.env,
    allowFailure: true,
    ...withSignal(signal),
  });
  return parsePackage(shown.stdout);
}

/** The first stanza of `apt-cache show`. */
export function parsePackage(text: string): AptPackage | undefined {
  const stanza = text.split("\n\n")[0] ?? "";
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1];
  const [name, version, sha256] = [field("Package"), field("Version"), field("SHA256")];
  if (name === undefined || version === undefined || sha256 === undefined) return undefined;
  const depends = (field("Depends") ?? "").split(/,\s*/).filter((part) => part !== "");
  return { name, version, depends, sha256, sizeBytes: Number(field("Size") ?? 0) };
}

/** Downloads a package file into `folder`; apt compares it with the hash in the signed index. */
export async function downloadPackage(
  apt: AptSandbox,
  wanted: AptPackage,
  folder: string,
  onFraction: (fraction: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  let last = -1;
  await runTool("apt-get", ["-qq", "-o", "APT::Status-Fd=1", "download", `${wanted.name}=${wanted.version}`], {
    cwd: folder,
    env: apt.env,
    onLine: (line) => {
      const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
      // apt repeats itself; a bar does not need more than whole percents.
      if (percent === undefined || Math.floor(Number(percent)) === last) return;
      last = Math.floor(Number(percent));
      onFraction(Math.min(1, last / 100));
    },
    ...withSignal(signal),
  });
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
