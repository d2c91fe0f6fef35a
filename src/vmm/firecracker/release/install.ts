import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../../../errors/firebreak-error.ts";
import { runCommand } from "../../../platform/process.ts";
import { writeAtomic } from "../../../platform/write-atomic.ts";
import { invalid, parseSums, readReleaseArchive, sha256 } from "./archive.ts";
import { type DownloadOptions, downloadRelease } from "./download.ts";
import { type HostArch, hostArch, readElf } from "./elf.ts";
import {
  checkDigests,
  type FirecrackerRelease,
  findRelease,
  RELEASE_FILES,
  type ReleaseManifest,
  readManifest,
  releaseIn,
  VERSION_PATTERN,
} from "./release.ts";
import { parseFirecrackerVersion } from "./version.ts";

export interface InstallOptions extends DownloadOptions {
  /** FIREBREAK_HOME. */
  home: string;
  /** A release's archive, a bare `firecracker` (its `jailer` beside it is taken, too), or the number of a release, which is downloaded. */
  source: string;
}

/** Neither is larger than this, by far. */
const MAX_PROGRAM_BYTES = 64 * 1024 ** 2;
const VERSION_DEADLINE_MS = 30_000;
/** Of folders in which a release is made ready. */
const WORK_PREFIX = ".new-";
/** So many others do not come between. */
const MAX_ATTEMPTS = 20;
/** No installation takes this long. */
const STALE_MS = 24 * 60 * 60_000;

/**
 * Installs a release for this host's architecture, verified, and puts it in use. What was there before stays in use until all of it is there, and whatever
 * fails leaves nothing. Throws VMM_RELEASE_INVALID, VMM_RELEASE_FETCH_FAILED, VMM_START_FAILED (too old), INVALID_ARGUMENT (neither a file nor a
 * release's number) or OPERATION_CANCELED.
 */
export async function installRelease(options: InstallOptions): Promise<FirecrackerRelease> {
  const arch = hostArch();
  const root = path.join(options.home, RELEASE_FILES.folder);
  await mkdir(root, { recursive: true, mode: 0o755 });
  await removeStale(root);
  const work = path.join(root, `${WORK_PREFIX}${randomBytes(6).toString("hex")}`);
  await mkdir(work, { mode: 0o755 });
  try {
    const programs = await readPrograms(options, arch, work);
    await installPrograms(programs, arch, root, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return (await findRelease(options.home)) as FirecrackerRelease;
}

interface Programs {
  firecracker: Buffer;
  jailer?: Buffer;
  /** What the release's own names say, where it has any. */
  version?: string;
  source: string;
}

async function readPrograms(options: InstallOptions, arch: HostArch, work: string): Promise<Programs> {
  const { source } = options;
  const found = await stat(source).catch(() => undefined);
  if (found?.isFile()) return readFrom(source, arch);
  if (found !== undefined) throw refuse(`${source} is no file`);
  const version = source.replace(/^v/, "");
  if (!VERSION_PATTERN.test(version))
    throw refuse(`${source} is neither a file nor the number of a release, such as 1.16.1`);
  parseFirecrackerVersion(version); // what is too old is not downloaded first
  const { file, url } = await downloadRelease(version, arch, work, options);
  const programs = { ...(await readReleaseArchive(file, arch)), source: url };
  if (programs.version !== version) throw invalid(`it is ${programs.version}, and not ${version}`);
  return programs;
}

async function readFrom(file: string, arch: HostArch): Promise<Programs> {
  const head = Buffer.alloc(4);
  const handle = await open(file, "r");
  await handle.read(head, 0, 4, 0).finally(() => handle.close());
  const source = path.basename(file);
  if (head.readUInt16BE(0) === 0x1f8b) {
    await comparePublished(file);
    return { ...(await readReleaseArchive(file, arch)), source };
  }
  if (head.toString("latin1", 1) !== "ELF") throw invalid(`${source} is neither a .tgz archive nor a program`);
  const jailer = path.join(path.dirname(file), source.replace("firecracker", "jailer"));
  const hasJailer = jailer !== file && (await stat(jailer).catch(() => undefined))?.isFile();
  return { firecracker: await readProgram(file), ...(hasJailer && { jailer: await readProgram(jailer) }), source };
}

/** Where the digest that is published beside an archive has been brought along, it counts. */
async function comparePublished(file: string): Promise<void> {
  const text = await readFile(`${file}.sha256.txt`, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw invalid(`${file}.sha256.txt cannot be read (${error.code})`);
  });
  if (text === undefined) return;
  const expected = parseSums(text).get(path.basename(file)) ?? "";
  if (sha256(await readFile(file)) !== expected) throw invalid(`it has another digest than ${file}.sha256.txt says`);
}

async function readProgram(file: string): Promise<Buffer> {
  if ((await stat(file)).size > MAX_PROGRAM_BYTES) throw invalid(`${path.basename(file)} is larger than any release's`);
  return readFile(file);
}

async function installPrograms(programs: Programs, arch: HostArch, root: string, work: string): Promise<void> {
  const { firecracker, jailer, source } = programs;
  const folder = path.join(work, "release");
  await mkdir(folder, { mode: 0o755 });
  const version = await writeProgram(folder, "firecracker", firecracker, arch);
  if (programs.version !== undefined && version !== programs.version)
    throw invalid(`its firecracker says ${version}, and its name ${programs.version}`);
  const ofJailer = jailer && (await writeProgram(folder, "jailer", jailer, arch));
  if (ofJailer !== undefined && ofJailer !== version)
    throw invalid(`firecracker is ${version} and its jailer ${ofJailer}; both have to be of one release`);
  const manifest: ReleaseManifest = {
    version,
    arch,
    source,
    installedAt: new Date().toISOString(),
    digests: { firecracker: sha256(firecracker), ...(jailer && { jailer: sha256(jailer) }) },
  };
  await writeAtomic(path.join(folder, RELEASE_FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
  const target = path.join(root, version);
  await putInPlace(folder, target, manifest.digests, work);
  await writeAtomic(path.join(root, RELEASE_FILES.current), `${version}\n`);
}

/**
 * Moves a release that is made ready to where it is used from. The same one again is left as it is: nobody misses it for a moment. In the place of another of that number
 * the last one stays, of two installations at once; what runs keeps the files that it was started from.
 */
async function putInPlace(
  folder: string,
  target: string,
  digests: ReleaseManifest["digests"],
  work: string,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    if (await holds(target, digests)) return;
    await rename(target, path.join(work, `replaced-${attempt}`)).catch(ignoreMissing);
    try {
      return await rename(folder, target);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "ENOTEMPTY";
      if (!isTaken || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

async function holds(target: string, digests: ReleaseManifest["digests"]): Promise<boolean> {
  const manifest = await readManifest(target);
  if (manifest?.digests.firecracker !== digests.firecracker || manifest.digests.jailer !== digests.jailer) return false;
  return checkDigests(releaseIn(target, manifest)).then(
    () => true,
    () => false,
  );
}

/** Writes a program, after a look at what it is, and asks it for its version. */
async function writeProgram(
  folder: string,
  name: "firecracker" | "jailer",
  bytes: Buffer,
  arch: HostArch,
): Promise<string> {
  const elf = readElf(bytes);
  if (elf === undefined) throw invalid(`its ${name} is no ELF program`);
  if (elf.arch !== arch)
    throw invalid(`its ${name} is for ${elf.arch ?? "another architecture"}, and this host is ${arch}`);
  if (!elf.isStatic) throw invalid(`its ${name} is not static, so cannot run in a jail`);
  const file = path.join(folder, name);
  const handle = await open(file, "wx", 0o755);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(file, 0o755); // whatever this process's umask is
  const { stdout } = await runCommand(file, ["--version"], { timeoutMs: VERSION_DEADLINE_MS, cwd: folder }).catch(
    (error: unknown) => {
      throw invalid(`its ${name} does not say its version: ${toFirebreakError(error).message}`);
    },
  );
  if (!stdout.toLowerCase().startsWith(name))
    throw invalid(`its ${name} calls itself ${JSON.stringify(stdout.slice(0, 60))}`);
  return parseFirecrackerVersion(stdout).text;
}

/** What an installation that was killed has left. */
async function removeStale(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const folder = path.join(root, name);
    if (!name.startsWith(WORK_PREFIX)) continue;
    const age = Date.now() - ((await stat(folder).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > STALE_MS) await rm(folder, { recursive: true, force: true });
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

function refuse(message: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", message, {
    hint: "firebreak setup --firecracker FILE|VERSION: a release's archive, a program, or the number of a release",
  });
}
