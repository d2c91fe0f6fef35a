import { copyFile, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { GUEST_ARCH } from "./arch.ts";
import {
  asFetch,
  FETCH_TOOLS,
  fetchFailed,
  fetchTree,
  openKernelArchive,
  resolveMetaPackage,
} from "./kernel-package.ts";
import {
  describeFiles,
  findKernel,
  getKernel,
  isIntact,
  type Kernel,
  type KernelManifest,
  listKernels,
  readCurrentKernelId,
  readKernel,
  setCurrentKernel,
  verifyKernel,
} from "./kernel-store.ts";
import { withLock } from "./lock.ts";
import {
  BALLOON_MODULES,
  BOOT_EXTRAS,
  DRIVE_MODULES,
  moduleName,
  orderModules,
  readModuleInfo,
  VSOCK_MODULES,
} from "./modules.ts";
import type { ImageOptions } from "./progress.ts";
import { DEBIAN_KEYRING } from "./requirements.ts";
import { requireTools } from "./tools.ts";
import { removeTree, withWorkDir, writeFileAtomic } from "./work-dir.ts";

/** Inserted at boot, in this order with what they need before them; ext4, tmpfs and devtmpfs are built in. */
const BOOT_MODULES = ["virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng", "squashfs", "overlay"];

/** In the kernel's folder but not inserted by default: another VMM's channel, another image format, ballooning, FUSE, drives. */
const OPTIONAL_MODULES = [
  ...VSOCK_MODULES,
  "erofs",
  ...BALLOON_MODULES,
  "virtio_net",
  "fuse",
  ...DRIVE_MODULES,
  ...BOOT_EXTRAS,
];

export interface KernelOptions extends ImageOptions {
  /** Ask the archive for a newer kernel even when there is one. */
  refresh?: boolean;
}

/**
 * The guest kernel: the one in use, or when there is none Debian's stock cloud kernel, unpacked from its signed package and
 * not installed. One that is there and whole is used, without the network. Throws KERNEL_FETCH_FAILED (also for an archive
 * or package that is not signed by Debian), KERNEL_CORRUPT for a built kernel, TOOL_NOT_FOUND, HOST_DISK_FULL or
 * OPERATION_CANCELED; then nothing has changed.
 */
export async function ensureKernel(paths: FirebreakPaths, options: KernelOptions = {}): Promise<Kernel> {
  const find = () => (options.refresh === true ? undefined : getWholeKernel(paths));
  return (await find()) ?? (await fetchStockOnce(paths, options, find));
}

/**
 * Makes a kernel the one that new VMs get: an id, or "stock" for the newest of Debian's, which is fetched when there is none.
 * Throws as ensureKernel, or KERNEL_NOT_FOUND.
 */
export async function useKernel(paths: FirebreakPaths, name: string, options: ImageOptions = {}): Promise<Kernel> {
  const kernel = name === "stock" ? await ensureStock(paths, options) : await findKernel(paths, name);
  // An altered one would be noticed only by the next VM.
  await verifyKernel(kernel, { deep: true });
  await setCurrentKernel(paths, kernel.id);
  return kernel;
}

/** One that is whole but lacks modules which are wanted by now will do where no other is to be had. */
async function ensureStock(paths: FirebreakPaths, options: ImageOptions): Promise<Kernel> {
  const find = async () => {
    const stock = (await listKernels(paths)).find((kernel) => kernel.kind === "stock");
    return stock !== undefined && (await isIntact(stock)) ? stock : undefined;
  };
  const found = await find();
  if (found !== undefined && hasAllModules(found)) return found;
  return fetchStockOnce(paths, options, async () => undefined).catch((error: unknown) => {
    if (found === undefined || !hasCode(error, "KERNEL_FETCH_FAILED")) throw error;
    options.onProgress?.({ step: "kernel", message: "modules for drives could not be fetched; the kernel has none" });
    return found;
  });
}

async function fetchStockOnce(
  paths: FirebreakPaths,
  options: KernelOptions,
  find: () => Promise<Kernel | undefined> | undefined,
): Promise<Kernel> {
  const lock = path.join(paths.kernels, ".lock");
  const onWait = (pid: number) =>
    options.onProgress?.({ step: "kernel-wait", message: `waiting for process ${pid}, which fetches the kernel` });
  return withLock(lock, { onWait, ...(options.signal && { signal: options.signal }) }, async () => {
    const other = await find();
    return other ?? (await asFetch(() => withWorkDir(paths.kernels, (work) => fetchStock(paths, work, options))));
  });
}

/** As getKernel, but a corrupt stock kernel counts as none: it is fetched again. */
async function getWholeKernel(paths: FirebreakPaths): Promise<Kernel | undefined> {
  try {
    return await getKernel(paths);
  } catch (error) {
    if (!hasCode(error, "KERNEL_CORRUPT")) throw error;
    // Somebody chose a built one: another must not take its place in silence.
    if ((await findKernel(paths, "current")).kind === "built") throw error;
    return undefined;
  }
}

async function fetchStock(paths: FirebreakPaths, work: string, options: KernelOptions): Promise<Kernel> {
  const { signal } = options;
  await requireTools(FETCH_TOOLS, options.keyring ?? DEBIAN_KEYRING.path);
  const archive = await openKernelArchive(work, options);
  const wanted = await resolveMetaPackage(archive, GUEST_ARCH.kernelMetaPackage, "linux-image-", signal);

  const id = `debian-${wanted.version}-${GUEST_ARCH.debArch}`.replace(/[^A-Za-z0-9._-]/g, "_");
  const folder = path.join(paths.kernels, id);
  const finish = async (kernel: Kernel, message: string) => {
    if (!(await isBuiltInUse(paths))) await setCurrentKernel(paths, id);
    options.onProgress?.({ step: "kernel", message, fraction: 1 });
    return kernel;
  };
  const existing = await readKernel(folder);
  const isWhole = existing !== undefined && (await isIntact(existing));
  if (isWhole && hasAllModules(existing)) return finish(existing, `${wanted.name} ${wanted.version} is up to date`);

  const tree = await fetchTree(work, archive, wanted, options);
  const made = path.join(work, "kernel");
  const manifest = await collectKernel(tree, made, {
    id,
    kind: "stock",
    arch: GUEST_ARCH.name,
    package: wanted.name,
    version: wanted.version,
    source: archive.source,
    packageSha256: wanted.sha256,
    createdAt: new Date().toISOString(),
    image: "vmlinuz",
    kernelArgs: [],
  });
  await writeFile(path.join(made, "kernel.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  if (isWhole) await addModules(made, existing, manifest);
  else {
    await removeTree(folder);
    await rename(made, folder);
  }
  return finish((await readKernel(folder)) as Kernel, `${wanted.name} ${wanted.version} is ready`);
}

/** One that an earlier firebreak fetched may lack modules that are wanted by now. */
function hasAllModules(kernel: KernelManifest): boolean {
  return OPTIONAL_MODULES.every((name) => Object.hasOwn(kernel.optionalModules, name));
}

/** VMs may be made of the kernel meanwhile: its files stay in their places, and the list of them is last. */
async function addModules(made: string, existing: Kernel, manifest: KernelManifest): Promise<void> {
  for (const name of Object.keys(manifest.files)) {
    if (Object.hasOwn(existing.files, name)) continue;
    await writeFileAtomic(path.join(existing.folder, name), await readFile(path.join(made, name)));
  }
  await writeFileAtomic(path.join(existing.folder, "kernel.json"), await readFile(path.join(made, "kernel.json")));
}

/** A newer stock kernel takes the place of an older one, not of a built one that somebody chose. */
async function isBuiltInUse(paths: FirebreakPaths): Promise<boolean> {
  const id = await readCurrentKernelId(paths);
  return id !== undefined && (await readKernel(path.join(paths.kernels, id)))?.kind === "built";
}

/** Copies what a guest needs out of the unpacked package. */
async function collectKernel(
  tree: string,
  target: string,
  origin: Omit<KernelManifest, "release" | "bootModules" | "optionalModules" | "files">,
): Promise<KernelManifest> {
  await mkdir(path.join(target, "modules"), { recursive: true });
  const image = (await readdir(path.join(tree, "boot")).catch(() => [] as string[])).find((name) =>
    name.startsWith("vmlinuz-"),
  );
  if (image === undefined) throw fetchFailed(`package ${origin.package} has no kernel`);
  const release = image.slice("vmlinuz-".length);
  await copyFile(path.join(tree, "boot", image), path.join(target, "vmlinuz"));

  const available = await indexModules(path.join(tree, "lib/modules", release));
  const depends = new Map<string, string[]>();
  const load = async (name: string): Promise<void> => {
    const file = available.get(name);
    if (file === undefined || depends.has(name)) return;
    const info = readModuleInfo(await readFile(file));
    depends.set(name, info.depends);
    for (const dependency of info.depends) await load(dependency);
  };
  for (const name of [...BOOT_MODULES, ...OPTIONAL_MODULES]) await load(moduleName(name));

  const order = (wanted: readonly string[]) =>
    orderModules(
      wanted,
      (name) => depends.get(name),
      () => undefined,
    ).map((name) => path.basename(available.get(name) as string));
  const missing = BOOT_MODULES.filter((name) => !depends.has(name));
  if (missing.length > 0) throw fetchFailed(`package ${origin.package} lacks the modules ${missing.join(", ")}`);
  for (const name of depends.keys()) {
    const file = available.get(name) as string;
    await copyFile(file, path.join(target, "modules", path.basename(file)));
  }
  const present = OPTIONAL_MODULES.filter((name) => depends.has(name));
  return {
    ...origin,
    release,
    bootModules: order(BOOT_MODULES),
    optionalModules: Object.fromEntries(present.map((name) => [name, order([name])])),
    files: await describeFiles(target, "vmlinuz"),
  };
}

/** All modules of a kernel by name. */
async function indexModules(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  const modules = entries.filter((entry) => entry.endsWith(".ko"));
  return new Map(modules.map((entry) => [moduleName(entry), path.join(folder, entry)]));
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof FirebreakError && error.code === code;
}
