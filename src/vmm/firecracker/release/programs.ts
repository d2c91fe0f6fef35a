import { access, constants, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../../../errors/firebreak-error.ts";
import { findProgram, runCommand } from "../../../platform/process.ts";
import { hostArch, readElf } from "./elf.ts";
import { checkDigests, type FirecrackerRelease, findRelease } from "./release.ts";
import { type FirecrackerVersion, parseFirecrackerVersion } from "./version.ts";

export interface FirecrackerPrograms {
  path: string;
  version: FirecrackerVersion;
  /** The jailer of the same release; why there is none otherwise. */
  jailer: { path: string } | { missing: string };
}

export interface ProgramFinderOptions {
  /** $FIREBREAK_FIRECRACKER; absent: the release that is installed in the home, or what is on the PATH. */
  program?: string | undefined;
  /** $FIREBREAK_JAILER; absent: that of the release, or beside the program. */
  jailer?: string | undefined;
  /** FIREBREAK_HOME, with what `firebreak setup --firecracker` has installed. */
  home?: string | undefined;
}

interface Place {
  firecracker: string;
  jailer: string;
  release?: FirecrackerRelease;
}

const HINT =
  "Install a release for this host: firebreak setup --firecracker VERSION; FIREBREAK_FIRECRACKER names another.";
const VERSION_DEADLINE = { timeoutMs: 10_000 } as const;

/** Finds Firecracker and its jailer, and looks at them again when they have become others. */
export class ProgramFinder {
  readonly #options: ProgramFinderOptions;
  #known: { key: string; programs: FirecrackerPrograms } | undefined;

  constructor(options: ProgramFinderOptions) {
    this.#options = options;
  }

  /** Throws VMM_NOT_FOUND, VMM_START_FAILED for a release that is too old, VMM_ALTERED for one that is not what was installed. */
  async find(): Promise<FirecrackerPrograms> {
    const place = await this.#locate();
    const key = JSON.stringify([place, await identify(place.firecracker), await identify(place.jailer)]);
    if (this.#known?.key === key) return this.#known.programs;
    if (place.release !== undefined) await checkDigests(place.release);
    const version = parseFirecrackerVersion(await askVersion(place.firecracker));
    const programs = { path: place.firecracker, version, jailer: await lookAtJailer(place.jailer, version) };
    this.#known = { key, programs };
    return programs;
  }

  async #locate(): Promise<Place> {
    const { program, jailer, home } = this.#options;
    const release = program === undefined && home !== undefined ? await findRelease(home) : undefined;
    const name = program ?? "firecracker";
    const firecracker = release?.firecracker ?? (await findProgram(name));
    if (firecracker === undefined) {
      throw new FirebreakError("VMM_NOT_FOUND", `${name} is not installed`, {
        hint: "Install a release: firebreak setup --firecracker VERSION; or set FIREBREAK_FIRECRACKER to its path. It runs with KVM alone: 'firebreak doctor' says whether that works here.",
      });
    }
    return {
      firecracker,
      jailer: jailer ?? release?.jailer ?? jailerBeside(firecracker),
      ...(release === undefined ? {} : { release }),
    };
  }
}

/** What a file is told by; nobody but root can put another one in its place with all of it. */
async function identify(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ");
}

/** What a program says of its version. Throws VMM_START_FAILED for one of another architecture, or that does not run. */
async function askVersion(file: string): Promise<string> {
  const arch = readElf(await readFile(file).catch(() => Buffer.alloc(0)))?.arch;
  if (arch !== undefined && arch !== hostArch())
    throw new FirebreakError("VMM_START_FAILED", `${file} is for ${arch}, and this host is ${hostArch()}`, {
      hint: HINT,
    });
  const { stdout } = await runCommand(file, ["--version"], VERSION_DEADLINE).catch((error: unknown) => {
    const { message } = toFirebreakError(error);
    throw new FirebreakError("VMM_START_FAILED", `${file} does not run: ${message}`, { hint: HINT, cause: error });
  });
  return stdout;
}

/** Releases name both programs alike: firecracker-v1.16.1-x86_64 and jailer-v1.16.1-x86_64. */
export function jailerBeside(firecracker: string): string {
  return path.join(path.dirname(firecracker), path.basename(firecracker).replace("firecracker", "jailer"));
}

async function lookAtJailer(file: string, { text }: FirecrackerVersion): Promise<FirecrackerPrograms["jailer"]> {
  const isThere = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isThere) return { missing: `there is no ${file}` };
  const stdout = await askVersion(file).catch((error: unknown) => ({ failure: toFirebreakError(error).message }));
  if (typeof stdout !== "string") return { missing: stdout.failure };
  const said = /\d+\.\d+\.\d+(?:-[\w.-]+)?/.exec(stdout)?.[0];
  if (said !== text) return { missing: `${file} is of release ${said ?? "unknown"}, and Firecracker of ${text}` };
  return { path: file };
}
