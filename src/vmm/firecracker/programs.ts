import { access, constants } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findProgram, runCommand } from "../../platform/process.ts";
import { type FirecrackerVersion, parseFirecrackerVersion } from "./version.ts";

export interface FirecrackerPrograms {
  path: string;
  version: FirecrackerVersion;
  /** The jailer of the same release; why there is none otherwise. */
  jailer: { path: string } | { missing: string };
}

export interface WantedPrograms {
  /** $FIREBREAK_FIRECRACKER; absent: on the PATH. */
  program?: string | undefined;
  /** $FIREBREAK_JAILER; absent: beside the program. */
  jailer?: string | undefined;
}

const VERSION_DEADLINE = { timeoutMs: 10_000 } as const;

/** Finds Firecracker and its jailer. Throws VMM_NOT_FOUND, or VMM_START_FAILED for a release that is too old. */
export async function findPrograms({ program, jailer }: WantedPrograms): Promise<FirecrackerPrograms> {
  const name = program ?? "firecracker";
  const found = await findProgram(name);
  if (found === undefined) {
    throw new FirebreakError("VMM_NOT_FOUND", `${name} is not installed`, {
      hint: "Put a release of Firecracker on the PATH, or set FIREBREAK_FIRECRACKER to its path.",
    });
  }
  const { stdout } = await runCommand(found, ["--version"], VERSION_DEADLINE);
  const version = parseFirecrackerVersion(stdout);
  return { path: found, version, jailer: await findJailer(jailer ?? jailerBeside(found), version) };
}

/** Releases name both programs alike: firecracker-v1.16.1-x86_64 and jailer-v1.16.1-x86_64. */
export function jailerBeside(firecracker: string): string {
  return path.join(path.dirname(firecracker), path.basename(firecracker).replace("firecracker", "jailer"));
}

async function findJailer(file: string, { text }: FirecrackerVersion): Promise<FirecrackerPrograms["jailer"]> {
  const isThere = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isThere) return { missing: `there is no ${file}` };
  const { stdout } = await runCommand(file, ["--version"], VERSION_DEADLINE);
  const said = /\d+\.\d+\.\d+(?:-[\w.-]+)?/.exec(stdout)?.[0];
  if (said !== text) return { missing: `${file} is of release ${said ?? "unknown"}, and Firecracker of ${text}` };
  return { path: file };
}
