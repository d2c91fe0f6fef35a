import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { type Kernel, repairHint } from "./kernel-store.ts";
import { BALLOON_MODULES, CARD_MODULES, DRIVE_MODULES, MOUNT_MODULES, VSOCK_MODULES } from "./modules.ts";
import { writeFileAtomic } from "./work-dir.ts";

export interface InitrdOptions {
  /** Optional modules of the kernel (keys of `optionalModules`) to insert at boot as well; default none. */
  modules?: readonly string[];
}

export interface Initrd {
  path: string;
  /** "sha256:…" of the file. */
  digest: string;
  sizeBytes: number;
  /** What modules.list holds. */
  modules: string[];
  /** What balloon.list holds. */
  balloonModules: string[];
  /** What vsock.list holds. */
  vsockModules: string[];
  /** What drives.list holds. */
  driveModules: string[];
  /** What card.list holds. */
  cardModules: string[];
  /** What mounts.list holds. */
  mountModules: string[];
}

/**
 * The initial ram disk for a kernel and a guest agent, made anew only when its content changes: agent as /init, the
 * modules that a boot needs, those that vsock, a balloon, drives, a network card and mounts need which come later, and nothing else. It is not compressed: the guest would pay for that at each boot, and more
 * than the host pays for reading the larger file. Throws AGENT_NOT_BUILT, KERNEL_CORRUPT or HOST_DISK_FULL.
 */
export async function ensureInitrd(
  paths: FirebreakPaths,
  kernel: Kernel,
  agentBinaryPath: string,
  options: InitrdOptions = {},
): Promise<Initrd> {
  const agent = await readAgent(agentBinaryPath);
  const modules = [...kernel.bootModules];
  for (const name of options.modules ?? []) {
    const files = kernel.optionalModules[name];
    if (files === undefined) throw new FirebreakError("INVALID_ARGUMENT", `kernel ${kernel.id} has no module ${name}`);
    for (const file of files) if (!modules.includes(file)) modules.push(file);
  }
  const late = {
    vsockModules: listLateModules(kernel, VSOCK_MODULES, modules),
    balloonModules: listLateModules(kernel, BALLOON_MODULES, modules),
    driveModules: listLateModules(kernel, DRIVE_MODULES, modules),
    cardModules: listLateModules(kernel, CARD_MODULES, modules),
    mountModules: listLateModules(kernel, MOUNT_MODULES, modules),
  };
  const archive = writeCpio(await listEntries(kernel, agent, modules, late));
  const digest = createHash("sha256").update(archive).digest("hex");
  const file = path.join(paths.kernels, kernel.id, `initrd-${digest.slice(0, 12)}.cpio`);
  const found = await stat(file).catch(() => undefined);
  if (found?.size !== archive.length || !archive.equals(await readFile(file))) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomic(file, archive);
  }
  return { path: file, digest: `sha256:${digest}`, sizeBytes: archive.length, modules, ...late };
}

/** Those besides the ones inserted at boot, in order; none of a kernel that has them built in, or was fetched before they were wanted. */
function listLateModules(kernel: Kernel, names: readonly string[], atBoot: string[]): string[] {
  const files = names.flatMap((name) => kernel.optionalModules[name] ?? []);
  return [...new Set(files)].filter((file) => !atBoot.includes(file));
}

const ELF_MAGIC = Buffer.from("\x7fELF", "latin1");

async function readAgent(file: string): Promise<Buffer> {
  const content = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new FirebreakError("AGENT_NOT_BUILT", `the guest agent ${file} cannot be read`, {
      cause: error,
      hint: "run 'make setup'",
    });
  });
  if (!content.subarray(0, 4).equals(ELF_MAGIC)) {
    throw new FirebreakError("AGENT_NOT_BUILT", `the guest agent ${file} is not a program`, {
      hint: "run 'make setup'",
    });
  }
  return content;
}

async function listEntries(
  kernel: Kernel,
  agent: Buffer,
  modules: string[],
  late: Pick<Initrd, "vsockModules" | "balloonModules" | "driveModules" | "cardModules" | "mountModules">,
): Promise<CpioEntry[]> {
  // A kernel that has all built in gets no list of modules, and the agent looks for none.
  const folders = modules.length > 0 ? ["dev", "modules", "proc", "sys"] : ["dev", "proc", "sys"];
  const entries: CpioEntry[] = folders.map((name) => ({
    type: "directory",
    path: name,
    mode: 0o755,
  }));
  // Without it the kernel starts /init with no stdin, stdout and stderr, and its messages are lost.
  entries.push({ type: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 });
  entries.push({ type: "file", path: "init", mode: 0o755, content: agent });
  if (modules.length === 0) return entries;
  for (const [list, names] of [
    ["modules.list", modules],
    ["vsock.list", late.vsockModules],
    ["balloon.list", late.balloonModules],
    ["drives.list", late.driveModules],
    ["card.list", late.cardModules],
    ["mounts.list", late.mountModules],
  ] as const) {
    if (names.length === 0) continue;
    entries.push({ type: "file", path: list, mode: 0o644, content: Buffer.from(`${names.join("\n")}\n`) });
  }
  for (const name of new Set([...modules, ...Object.values(late).flat()])) {
    const content = await readModule(kernel, name);
    entries.push({ type: "file", path: `modules/${name}`, mode: 0o644, content });
  }
  return entries;
}

async function readModule(kernel: Kernel, name: string): Promise<Buffer> {
  const content = await readFile(path.join(kernel.modulesFolder, name)).catch(() => undefined);
  const expected = kernel.files[`modules/${name}`]?.sha256;
  if (content !== undefined && createHash("sha256").update(content).digest("hex") === expected) return content;
  throw new FirebreakError("KERNEL_CORRUPT", `module ${name} of kernel ${kernel.id} is missing or altered`, {
    hint: repairHint(kernel),
  });
}
