import { readdir, readFile, rename, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { hashFile } from "./digest.ts";
import { withWorkDir, writeFileAtomic } from "./work-dir.ts";

/** Names the kernel in use, so that having one needs no network. */
const CURRENT_FILE = "current";

/** kernel.json: what a kernel folder holds and where it came from. */
export interface KernelManifest {
  id: string;
  /** Debian's kernel as it is, or one of our own configuration, built from Debian's source. */
  kind: "stock" | "built";
  arch: string;
  /** `uname -r` of the guest. */
  release: string;
  /** The Debian package that it was unpacked or built from. */
  package: string;
  version: string;
  /** URI of the archive it was fetched from, without user name and password. */
  source: string;
  packageSha256: string;
  createdAt: string;
  /** The file that is booted: a compressed bzImage or the ELF file itself. */
  image: "vmlinuz" | "vmlinux";
  /** What this kernel wants on its command line besides the driver's own. */
  kernelArgs: string[];
  /** Of the settings that it was built with (digestKernelConfig). */
  configSha256?: string;
  /** File names in modules/, in the order of insertion at boot. */
  bootModules: string[];
  /** File names in modules/ by module name, each list with what it needs first. */
  optionalModules: Record<string, string[]>;
  /** By path inside the folder. */
  files: Record<string, { sha256: string; sizeBytes: number }>;
}

export interface Kernel extends KernelManifest {
  folder: string;
  imagePath: string;
  modulesFolder: string;
}

/** All kernels, newest first. */
export async function listKernels(paths: FirebreakPaths): Promise<Kernel[]> {
  const names = await readdir(paths.kernels).catch(() => [] as string[]);
  const kernels: Kernel[] = [];
  for (const name of names) {
    const kernel = isKernelId(name) ? await readKernel(path.join(paths.kernels, name)) : undefined;
    if (kernel !== undefined) kernels.push(kernel);
  }
  return kernels.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
}

/** The id of the kernel in use; that kernel may be gone. */
export async function readCurrentKernelId(paths: FirebreakPaths): Promise<string | undefined> {
  const id = (await readFile(path.join(paths.kernels, CURRENT_FILE), "utf8").catch(() => "")).trim();
  return isKernelId(id) ? id : undefined;
}

/** Makes a kernel the one that new VMs get; VMs that exist keep theirs. */
export async function setCurrentKernel(paths: FirebreakPaths, id: string): Promise<void> {
  await writeFileAtomic(path.join(paths.kernels, CURRENT_FILE), `${id}\n`);
}

/** The kernel in use, or undefined when there is none. Throws KERNEL_CORRUPT when a file is missing or has another size. */
export async function getKernel(paths: FirebreakPaths): Promise<Kernel | undefined> {
  const id = await readCurrentKernelId(paths);
  return id === undefined ? undefined : getKernelById(paths, id);
}

/** The kernel of that id, also when it is not the current one any more; undefined when it is gone. Throws KERNEL_CORRUPT. */
export async function getKernelById(paths: FirebreakPaths, id: string): Promise<Kernel | undefined> {
  const kernel = await readKernel(path.join(paths.kernels, path.basename(id)));
  if (kernel !== undefined) await verifyKernel(kernel, { deep: false });
  return kernel;
}

/** The kernel that a person names: an id, "current", or "stock" for the newest of Debian's. Throws KERNEL_NOT_FOUND. */
export async function findKernel(paths: FirebreakPaths, name: string): Promise<Kernel> {
  const kernels = await listKernels(paths);
  const wanted = name === "current" ? await readCurrentKernelId(paths) : name;
  const found =
    name === "stock"
      ? kernels.find((kernel) => kernel.kind === "stock")
      : kernels.find((kernel) => kernel.id === wanted);
  if (found !== undefined) return found;
  const known = kernels.map((kernel) => kernel.id).join(", ");
  throw new FirebreakError(
    "KERNEL_NOT_FOUND",
    name === "current" ? "no kernel is in use yet" : `no kernel is called ${JSON.stringify(name)}`,
    {
      hint: known === "" ? "There is none yet; 'firebreak kernel use stock' fetches Debian's." : `There are: ${known}.`,
    },
  );
}

/** Compares a kernel's files with kernel.json: their sizes, and with `deep` their content. Throws KERNEL_CORRUPT. */
export async function verifyKernel(kernel: Kernel, options: { deep: boolean }): Promise<void> {
  for (const [name, expected] of Object.entries(kernel.files)) {
    const file = path.join(kernel.folder, name);
    const found = await stat(file).catch(() => undefined);
    const isSame = found?.size === expected.sizeBytes && (!options.deep || (await hashFile(file)) === expected.sha256);
    if (isSame) continue;
    throw new FirebreakError("KERNEL_CORRUPT", `${name} of kernel ${kernel.id} is missing or altered`, {
      hint: repairHint(kernel),
      details: { file },
    });
  }
}

/** Removes a kernel: it is gone at once, whatever becomes of us meanwhile. Nobody may be using it. */
export async function deleteKernel(paths: FirebreakPaths, kernel: Kernel): Promise<void> {
  await withWorkDir(paths.kernels, (folder) => rename(kernel.folder, path.join(folder, kernel.id)));
}

/** As verifyKernel with `deep`, as an answer. */
export async function isIntact(kernel: Kernel): Promise<boolean> {
  return verifyKernel(kernel, { deep: true }).then(
    () => true,
    () => false,
  );
}

/** How to get a whole kernel again. */
export function repairHint(kernel: Pick<KernelManifest, "kind">): string {
  return kernel.kind === "built"
    ? "Build it again: firebreak kernel build --force; or go back to Debian's: firebreak kernel use stock"
    : "Run 'make setup' to fetch the kernel again.";
}

export async function readKernel(folder: string): Promise<Kernel | undefined> {
  const text = await readFile(path.join(folder, "kernel.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const manifest = parseManifest(text);
  if (manifest === undefined) return undefined;
  return {
    ...manifest,
    folder,
    imagePath: path.join(folder, manifest.image),
    modulesFolder: path.join(folder, "modules"),
  };
}

export function parseManifest(text: string): KernelManifest | undefined {
  try {
    const value = JSON.parse(text) as Partial<KernelManifest>;
    const isManifest = typeof value.id === "string" && Array.isArray(value.bootModules) && value.files !== undefined;
    if (!isManifest) return undefined;
    // Folders from before there were built kernels do not say these.
    const stock = { kind: "stock", image: "vmlinuz", kernelArgs: [] } as const;
    return { ...stock, ...(value as KernelManifest) };
  } catch {
    return undefined;
  }
}

/** The digests and sizes of a kernel folder's files, for its kernel.json. */
export async function describeFiles(folder: string, image: string): Promise<KernelManifest["files"]> {
  const modules = await readdir(path.join(folder, "modules")).catch(() => [] as string[]);
  const names = [image, ...modules.sort().map((name) => `modules/${name}`)];
  const files: KernelManifest["files"] = {};
  for (const name of names) {
    const file = path.join(folder, name);
    files[name] = { sha256: await hashFile(file), sizeBytes: (await stat(file)).size };
  }
  return files;
}

function isKernelId(name: string): boolean {
  return /^[a-z0-9][A-Za-z0-9._-]*$/.test(name) && name !== CURRENT_FILE;
}
