import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { type AptPackage, type AptSandbox, createAptSandbox, downloadPackage, showPackage, updateApt } from "./apt.ts";
import { GUEST_ARCH } from "./arch.ts";
import { hashFile } from "./digest.ts";
import { withLock } from "./lock.ts";
import { moduleName, orderModules, readModuleInfo } from "./modules.ts";
import type { ImageOptions } from "./progress.ts";
import { DEBIAN_KEYRING } from "./requirements.ts";
import { findDebianArchive } from "./sources.ts";
import { requireTools, runTool } from "./tools.ts";
import { removeTree, withWorkDir, writeFileAtomic } from "./work-dir.ts";

/** Inserted at boot, in this order with what they need before them; ext4, tmpfs and devtmpfs are built in. */
const BOOT_MODULES = ["virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng", "squashfs", "overlay"];

/** In the kernel's folder but not inserted by default: another VMM's channel, another image format, ballooning, FUSE. */
const OPTIONAL_MODULES = ["vmw_vsock_virtio_transport", "erofs", "virtio_balloon", "virtio_net", "fuse"];

/** Names the kernel in use, so that having one needs no network. */
const CURRENT_FILE = "current";

/** kernel.json: what a kernel folder holds and where it came from. */
export interface KernelManifest {
  id: string;
  arch: string;
  /** `uname -r` of the guest. */
  release: string;
  package: string;
  version: string;
  /** URI of the archive it was fetched from, without user name and password. */
  source: string;
  packageSha256: string;
  createdAt: string;
  /** File names in modules/, in the order of insertion at boot. */
  bootModules: string[];
  /** File names in modules/ by module name, each list with what it needs first. */
  optionalModules: Record<string, string[]>;
  /** By path inside the folder. */
  files: Record<string, { sha256: string; sizeBytes: number }>;
}

export interface Kernel extends KernelManifest {
  folder: string;
  vmlinuzPath: string;
  modulesFolder: string;
}

export interface KernelOptions extends ImageOptions {
  /** Ask the archive for a newer kernel even when there is one. */
  refresh?: boolean;
}

/**
 * The guest kernel: Debian's stock cloud kernel, unpacked from its signed package and not installed. One that is there
 * and whole is used, without the network. Throws KERNEL_FETCH_FAILED (also for an archive or package that is not signed
 * by Debian), TOOL_NOT_FOUND, HOST_DISK_FULL or OPERATION_CANCELED; then nothing has changed.
 */
export async function ensureKernel(paths: FirebreakPaths, options: KernelOptions = {}): Promise<Kernel> {
  const current = options.refresh === true ? undefined : await getWholeKernel(paths);
  if (current !== undefined) return current;
  const lock = path.join(paths.kernels, ".lock");
  const onWait = (pid: number) =>
    options.onProgress?.({ step: "kernel-wait", message: `waiting for process ${pid}, which fetches the kernel` });
  return withLock(lock, { onWait, ...(options.signal && { signal: options.signal }) }, async () => {
    const other = options.refresh === true ? undefined : await getWholeKernel(paths);
    return other ?? (await fetchKernel(paths, options));
  });
}

/** The kernel in use, or undefined when there is none. Throws KERNEL_CORRUPT when a file is missing or has another size. */
export async function getKernel(paths: FirebreakPaths): Promise<Kernel | undefined> {
  const id = (await readFile(path.join(paths.kernels, CURRENT_FILE), "utf8").catch(() => "")).trim();
  if (!/^[a-z0-9][A-Za-z0-9._-]*$/.test(id)) return undefined;
  const kernel = await readKernel(path.join(paths.kernels, id));
  if (kernel !== undefined) await verifyKernel(kernel, { deep: false });
  return kernel;
}

/** As getKernel, but a corrupt kernel counts as none: it is fetched again. */
async function getWholeKernel(paths: FirebreakPaths): Promise<Kernel | undefined> {
  return getKernel(paths).catch((error: unknown) => {
    if (error instanceof FirebreakError && error.code === "KERNEL_CORRUPT") return undefined;
    throw error;
  });
}

/** The kernel of that id, also when it is not the current one any more; undefined when it is gone. */
export async function getKernelById(paths: FirebreakPaths, id: string): Promise<Kernel | undefined> {
  const kernel = await readKernel(path.join(paths.kernels, path.basename(id)));
  if (kernel !== undefined) await verifyKernel(kernel, { deep: false });
  return kernel;
}

/** Compares a kernel's files with kernel.json: their sizes, and with `deep` their content. Throws KERNEL_CORRUPT. */
export async function verifyKernel(kernel: Kernel, options: { deep: boolean }): Promise<void> {
  for (const [name, expected] of Object.entries(kernel.files)) {
    const file = path.join(kernel.folder, name);
    const found = await stat(file).catch(() => undefined);
    const isSame = found?.size === expected.sizeBytes && (!options.deep || (await hashFile(file)) === expected.sha256);
    if (isSame) continue;
    throw new FirebreakError("KERNEL_CORRUPT", `${name} of kernel ${kernel.id} is missing or altered`, {
      hint: "Run 'make setup' to fetch the kernel again.",
      details: { file },
    });
  }
}

async function readKernel(folder: string): Promise<Kernel | undefined> {
  const text = await readFile(path.join(folder, "kernel.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const manifest = parseManifest(text);
  if (manifest === undefined) return undefined;
  return {
    ...manifest,
    folder,
    vmlinuzPath: path.join(folder, "vmlinuz"),
    modulesFolder: path.join(folder, "modules"),
  };
}

function parseManifest(text: string): KernelManifest | undefined {
  try {
    const value = JSON.parse(text) as Partial<KernelManifest>;
    const isManifest = typeof value.id === "string" && Array.isArray(value.bootModules) && value.files !== undefined;
    return isManifest ? (value as KernelManifest) : undefined;
  } catch {
    return undefined;
  }
}

async function fetchKernel(paths: FirebreakPaths, options: KernelOptions): Promise<Kernel> {
  try {
    return await withWorkDir(paths.kernels, (work) => fetchKernelInto(paths, work, options));
  } catch (thrown) {
    const error = toFirebreakError(thrown);
    if (error.code !== "TOOL_FAILED") throw error;
    throw new FirebreakError("KERNEL_FETCH_FAILED", `the guest kernel could not be fetched: ${error.message}`, {
      cause: error,
      hint: "Check that the Debian mirror can be reached; FIREBREAK_DEBIAN_MIRROR names another one.",
    });
  }
}

async function fetchKernelInto(paths: FirebreakPaths, work: string, options: KernelOptions): Promise<Kernel> {
  const { signal } = options;
  const env = options.env ?? process.env;
  const report = (step: string, message: string, fraction?: number) =>
    options.onProgress?.(fraction === undefined ? { step, message } : { step, message, fraction });

  const keyring = options.keyring ?? DEBIAN_KEYRING.path;
  await requireTools(["apt-get", "gpgv", "dpkg-deb"], keyring);
  report("kernel-index", "reading the Debian archive's index");
  const archive = await findDebianArchive(env);
  const apt = await createAptSandbox(path.join(work, "apt"), archive, keyring, GUEST_ARCH.debArch, env);
  await updateApt(apt, signal);
  const wanted = await resolveKernelPackage(apt, signal);

  const id = `debian-${wanted.version}-${GUEST_ARCH.debArch}`.replace(/[^A-Za-z0-9._-]/g, "_");
  const folder = path.join(paths.kernels, id);
  const existing = await readKernel(folder);
  if (existing !== undefined && (await isIntact(existing))) {
    await writeFileAtomic(path.join(paths.kernels, CURRENT_FILE), `${id}\n`);
    report("kernel", `${wanted.name} ${wanted.version} is up to date`, 1);
    return existing;
  }

  const message = `fetching ${wanted.name} ${wanted.version}`;
  report("kernel-fetch", message, 0);
  const download = path.join(work, "download");
  await mkdir(download);
  await downloadPackage(apt, wanted, download, (fraction) => report("kernel-fetch", message, fraction), signal);
  const debFile = (await readdir(download)).find((name) => name.endsWith(".deb"));
  if (debFile === undefined) throw fetchFailed(`apt-get downloaded no package file for ${wanted.name}`);
  const deb = path.join(download, debFile);
  // apt has compared it already; this keeps the promise in our own hands should apt's options ever be weakened.
  if ((await hashFile(deb)) !== wanted.sha256) throw fetchFailed(`${debFile} does not match the signed index`);

  report("kernel-unpack", "unpacking the kernel");
  const tree = path.join(work, "tree");
  await runTool("dpkg-deb", ["-x", deb, tree], { ...(signal && { signal }) });
  const made = path.join(work, "kernel");
  const manifest = await collectKernel(tree, made, {
    id,
    arch: GUEST_ARCH.name,
    package: wanted.name,
    version: wanted.version,
    source: withoutCredentials(archive.security ?? archive.main),
    packageSha256: wanted.sha256,
    createdAt: new Date().toISOString(),
  });
  await writeFile(path.join(made, "kernel.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await removeTree(folder);
  await rename(made, folder);
  await writeFileAtomic(path.join(paths.kernels, CURRENT_FILE), `${id}\n`);
  report("kernel", `${wanted.name} ${wanted.version} is ready`, 1);
  return (await readKernel(folder)) as Kernel;
}

/** The metapackage names the package that holds the kernel itself. */
async function resolveKernelPackage(apt: AptSandbox, signal?: AbortSignal): Promise<AptPackage> {
  const meta = await showPackage(apt, GUEST_ARCH.kernelMetaPackage, signal);
  const name = meta?.depends
    .map((part) => part.split(" ")[0] as string)
    .find((part) => part.startsWith("linux-image-"));
  if (name === undefined) throw fetchFailed(`the archive has no usable package ${GUEST_ARCH.kernelMetaPackage}`);
  const found = await showPackage(apt, name, signal);
  if (found === undefined) throw fetchFailed(`the archive has no package ${name}`);
  return found;
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
    files: await describeFiles(target),
  };
}

/** All modules of a kernel by name. */
async function indexModules(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  const modules = entries.filter((entry) => entry.endsWith(".ko"));
  return new Map(modules.map((entry) => [moduleName(entry), path.join(folder, entry)]));
}

async function describeFiles(folder: string): Promise<KernelManifest["files"]> {
  const names = ["vmlinuz", ...(await readdir(path.join(folder, "modules"))).sort().map((name) => `modules/${name}`)];
  const files: KernelManifest["files"] = {};
  for (const name of names) {
    const file = path.join(folder, name);
    files[name] = { sha256: await hashFile(file), sizeBytes: (await stat(file)).size };
  }
  return files;
}

async function isIntact(kernel: Kernel): Promise<boolean> {
  return verifyKernel(kernel, { deep: true }).then(
    () => true,
    () => false,
  );
}

function withoutCredentials(uri: string): string {
  return uri.replace(/\/\/[^/@]*@/, "//");
}

function fetchFailed(message: string): FirebreakError {
  return new FirebreakError("KERNEL_FETCH_FAILED", message);
}
