import { access, statfs } from "node:fs/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type CommandOptions, type CommandResult, findProgram, runCommand } from "../platform/process.ts";
import {
  DEBIAN_KEYRING,
  IMAGE_REQUIREMENTS,
  KERNEL_BUILD_REQUIREMENTS,
  ROOTLESS_IMAGE_REQUIREMENTS,
} from "./requirements.ts";

const DISK_FULL = /No space left on device|ENOSPC|not enough free (disk )?space|Disk quota exceeded/i;

/** Lines by which apt, mmdebstrap, npm and squashfs-tools say what is wrong. */
const COMPLAINT =
  /^(E: |err: |error: |FATAL ERROR|npm (error|ERR!) (?!A complete log)\S|\S+: (error|fatal|cannot|unable))/i;

/**
 * As runCommand, with better errors: a program that failed because the disk is full is HOST_DISK_FULL, and the message of
 * any other TOOL_FAILED has the lines in which the tool named the cause, which are seldom the last that it printed.
 */
export async function runTool(
  program: string,
  args: string[],
  options: CommandOptions & { name?: string } = {},
): Promise<CommandResult> {
  // Where one tool starts another, `name` is the one to speak of.
  const name = options.name ?? program;
  let isDiskFull = false;
  const complaints: string[] = [];
  const onLine = (line: string) => {
    // Package tools bury the cause under pages of consequences: every line counts, not only the last ones.
    if (DISK_FULL.test(line)) isDiskFull = true;
    if (COMPLAINT.test(line) && complaints.length < 3 && !complaints.includes(line.trim()))
      complaints.push(line.trim());
    options.onLine?.(line);
  };
  try {
    return await runCommand(program, args, { ...options, onLine });
  } catch (error) {
    if (!(error instanceof FirebreakError) || error.code !== "TOOL_FAILED") throw error;
    if (isDiskFull) throw diskFull(name, error);
    if (complaints.length === 0 && name === program) throw error;
    const why = complaints.length > 0 ? `failed: ${complaints.join(" | ")}` : error.message.slice(program.length + 1);
    throw new FirebreakError("TOOL_FAILED", `${name} ${why}`, {
      cause: error,
      details: { ...error.details, program: name },
    });
  }
}

/** Throws TOOL_NOT_FOUND, naming all that is missing and the packages that have it, before anything is begun. */
export async function requireTools(
  programs: readonly string[],
  keyring?: string,
  headers: readonly { path: string; debianPackage: string }[] = [],
): Promise<void> {
  const known = [...IMAGE_REQUIREMENTS, ...ROOTLESS_IMAGE_REQUIREMENTS, ...KERNEL_BUILD_REQUIREMENTS];
  const missing: { program: string; debianPackage: string }[] = [];
  for (const program of programs) {
    if ((await findProgram(program)) !== undefined) continue;
    missing.push({
      program,
      debianPackage: known.find((entry) => entry.program === program)?.debianPackage ?? program,
    });
  }
  const keyrings = keyring === undefined ? [] : [{ path: keyring, debianPackage: DEBIAN_KEYRING.debianPackage }];
  for (const file of [...keyrings, ...headers]) {
    const isThere = await access(file.path).then(
      () => true,
      () => false,
    );
    if (!isThere) missing.push({ program: file.path, debianPackage: file.debianPackage });
  }
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((entry) => entry.debianPackage))].join(" ");
  throw new FirebreakError(
    "TOOL_NOT_FOUND",
    `missing on this host: ${missing.map((entry) => entry.program).join(", ")}`,
    {
      hint: `'make setup' installs it; on Debian also 'apt-get install ${packages}'.`,
      details: { programs: missing.map((entry) => entry.program) },
    },
  );
}

/** Throws HOST_DISK_FULL when the file system of `folder` has less than `neededMib` free: better now than in minutes. */
export async function checkFreeSpace(folder: string, neededMib: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMib >= neededMib) return;
  throw new FirebreakError("HOST_DISK_FULL", `${folder} has ${freeMib} MiB free; ${neededMib} MiB are needed`, {
    hint: "Free some space, or set FIREBREAK_HOME to a larger disk.",
    details: { folder, freeMib, neededMib },
  });
}

function diskFull(name: string, cause: unknown): FirebreakError {
  return new FirebreakError("HOST_DISK_FULL", `no space is left on the host's disk (${name})`, {
    cause,
    hint: "Free some space, or set FIREBREAK_HOME to a larger disk.",
  });
}
