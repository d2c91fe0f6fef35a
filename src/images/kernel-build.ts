import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { kernelConfigPath } from "../platform/package-files.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { GUEST_ARCH } from "./arch.ts";
import { digestKernelConfig, type KernelConfig, listUntaken, parseKernelConfig } from "./kernel-config.ts";
import { createMakeCounter } from "./kernel-make-progress.ts";
import { FETCH_TOOLS } from "./kernel-package.ts";
import { fetchKernelSource, type KernelSource } from "./kernel-source.ts";
import { describeFiles, isIntact, type Kernel, type KernelManifest, listKernels, readKernel } from "./kernel-store.ts";
import { withLock } from "./lock.ts";
import type { ImageOptions, Progress } from "./progress.ts";
import { DEBIAN_KEYRING, KERNEL_BUILD_HEADERS, KERNEL_BUILD_REQUIREMENTS } from "./requirements.ts";
import { checkFreeSpace, requireTools, runTool } from "./tools.ts";
import { removeTree, withWorkDir } from "./work-dir.ts";

const TOOLS = [...FETCH_TOOLS, "tar", "setpriv", ...KERNEL_BUILD_REQUIREMENTS.map(({ program }) => program)];

/** The source, its package and what the build makes of it stand side by side for a moment. */
const NEEDED_MIB = 2200;

/** A build takes all processors for minutes; VMs go first. */
const NICENESS = 10;

/** Nothing is needed besides: the PVH entry of the ELF file and the clock's frequency from the driver are what makes it fast. */
const KERNEL_ARGS: string[] = [];

export interface KernelBuildOptions extends ImageOptions {
  /** Build from the archive's newest source even when there is a kernel of this configuration. */
  force?: boolean;
  /** Another configuration than the package's. */
  configPath?: string;
}

export interface KernelBuildResult {
  kernel: Kernel;
  /** False when there was a kernel of this configuration (or another process built it meanwhile) and nothing was done. */
  built: boolean;
}

/**
 * Builds a small kernel from Debian's kernel source and a configuration of our own, as one more kernel beside the stock one;
 * which one is in use does not change. Builds happen one at a time, over all processes. Throws KERNEL_BUILD_FAILED,
 * KERNEL_FETCH_FAILED, TOOL_NOT_FOUND, HOST_DISK_FULL or OPERATION_CANCELED; then nothing has changed.
 */
export async function buildKernel(paths: FirebreakPaths, options: KernelBuildOptions = {}): Promise<KernelBuildResult> {
  const startedMs = Date.now();
  const config = await readConfig(options.configPath ?? kernelConfigPath());
  const configSha256 = digestKernelConfig(config.settings);
  const done = (kernel: Kernel, built: boolean): KernelBuildResult => {
    const message = `kernel ${kernel.release} is ${built ? "ready" : "up to date"}`;
    options.onProgress?.({ step: "done", message, fraction: 1 });
    return { kernel, built };
  };
  const current = options.force === true ? undefined : await findBuilt(paths, configSha256);
  if (current !== undefined) return done(current, false);

  const onWait = (pid: number) =>
    options.onProgress?.({ step: "kernel-wait", message: `waiting for process ${pid}, which builds a kernel` });
  const lockOptions = { onWait, ...(options.signal && { signal: options.signal }) };
  try {
    return await withLock(path.join(paths.kernels, ".build.lock"), lockOptions, async () => {
      const other = await findBuilt(paths, configSha256);
      // With `force` an older kernel will not do, but one that was finished while we waited will.
      const isFresh = other !== undefined && (options.force !== true || Date.parse(other.createdAt) >= startedMs);
      if (other !== undefined && isFresh) return done(other, false);
      const kernel = await withWorkDir(paths.kernels, (work) => build(paths, work, { config, configSha256 }, options));
      return done(kernel, true);
    });
  } catch (error) {
    throw translate(error);
  }
}

/** The newest whole kernel of that configuration. */
async function findBuilt(paths: FirebreakPaths, configSha256: string): Promise<Kernel | undefined> {
  for (const kernel of await listKernels(paths)) {
    if (kernel.kind === "built" && kernel.configSha256 === configSha256 && (await isIntact(kernel))) return kernel;
  }
  return undefined;
}

interface ConfigFile {
  text: string;
  settings: KernelConfig;
}

async function readConfig(file: string): Promise<ConfigFile> {
  const text = await readFile(file, "utf8");
  try {
    return { text, settings: parseKernelConfig(text) };
  } catch (error) {
    throw new FirebreakError("KERNEL_BUILD_FAILED", `${file}: ${(error as Error).message}`, { cause: error });
  }
}

interface BuildInput {
  config: ConfigFile;
  configSha256: string;
}

async function build(
  paths: FirebreakPaths,
  work: string,
  input: BuildInput,
  options: KernelBuildOptions,
): Promise<Kernel> {
  await requireTools(TOOLS, options.keyring ?? DEBIAN_KEYRING.path, KERNEL_BUILD_HEADERS);
  await checkFreeSpace(paths.kernels, NEEDED_MIB);
  const source = await fetchKernelSource(work, options);
  const make = await prepareMake(source, options);
  options.onProgress?.({ step: "kernel-configure", message: "configuring the kernel" });
  await configure(source, make, input.config);
  options.onProgress?.({ step: "kernel-build", message: "building the kernel", fraction: 0 });
  await make(["vmlinux"], createMakeCounter());

  const made = path.join(work, "kernel");
  await mkdir(made);
  const image = path.join(made, "vmlinux");
  // The call traces of a panic have their names from a table in the kernel itself.
  await runTool("strip", ["--strip-all", "-o", image, path.join(source.folder, "vmlinux")]);
  const manifest = await describeKernel(source, made, input.configSha256);
  await writeFile(path.join(made, "kernel.json"), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
  const folder = path.join(paths.kernels, manifest.id);
  const existing = await readKernel(folder);
  // The id tells the content: one that is whole is the same, and VMs may be booting it.
  if (existing !== undefined && (await isIntact(existing))) return existing;
  await removeTree(folder);
  await rename(made, folder);
  return (await readKernel(folder)) as Kernel;
}

async function describeKernel(source: KernelSource, made: string, configSha256: string): Promise<KernelManifest> {
  const release = (await readFile(path.join(source.folder, "include/config/kernel.release"), "utf8")).trim();
  const { name, version, sha256 } = source.package;
  const files = await describeFiles(made, "vmlinux");
  const digest = files.vmlinux?.sha256.slice(0, 8);
  return {
    id: `firebreak-${version}-${GUEST_ARCH.debArch}-${digest}`.replace(/[^A-Za-z0-9._-]/g, "_"),
    kind: "built",
    arch: GUEST_ARCH.name,
    release,
    package: name,
    version,
    source: source.archive,
    packageSha256: sha256,
    createdAt: new Date().toISOString(),
    image: "vmlinux",
    kernelArgs: KERNEL_ARGS,
    configSha256,
    bootModules: [],
    optionalModules: {},
    files,
  };
}

type Make = (targets: string[], count?: (line: string) => Progress | undefined) => Promise<void>;

/** The kernel's make, with nothing of the caller's environment that would change what it makes. */
async function prepareMake(source: KernelSource, options: ImageOptions): Promise<Make> {
  const host = options.env ?? process.env;
  // The time of the source, not of the build: the same source gives the same kernel.
  const { mtime } = await stat(path.join(source.folder, "Makefile"));
  const env: NodeJS.ProcessEnv = {
    PATH: host.PATH,
    HOME: source.folder,
    LC_ALL: "C",
    KBUILD_BUILD_TIMESTAMP: mtime.toISOString(),
    KBUILD_BUILD_USER: "firebreak",
    KBUILD_BUILD_HOST: "firebreak",
    ...(host.TMPDIR === undefined ? {} : { TMPDIR: host.TMPDIR }),
  };
  // Should we be killed, make is told to end, and ends what it has started, instead of building on for nobody (prctl(2)).
  const wrap = ["--pdeathsig", "TERM", "--", "nice", "-n", String(NICENESS), "make"];
  const jobs = `-j${os.availableParallelism()}`;
  return async (targets, count) => {
    await runTool("setpriv", [...wrap, jobs, `ARCH=${GUEST_ARCH.name}`, ...targets], {
      name: "make",
      cwd: source.folder,
      env,
      ...(options.signal && { signal: options.signal }),
      onLine: (line) => {
        const progress = count?.(line);
        if (progress !== undefined) options.onProgress?.(progress);
      },
    });
  };
}

/** Everything off, then what the fragment names; what of it Kconfig did not take is an error, not a kernel that lacks it. */
async function configure(source: KernelSource, make: Make, config: ConfigFile): Promise<void> {
  const file = path.join(source.folder, "firebreak.config");
  await writeFile(file, config.text);
  await make([`KCONFIG_ALLCONFIG=${file}`, "allnoconfig"]);
  await make(["olddefconfig"]);
  const taken = parseKernelConfig(await readFile(path.join(source.folder, ".config"), "utf8"));
  const untaken = listUntaken(config.settings, taken);
  if (untaken.length === 0) return;
  const { name, version } = source.package;
  throw new FirebreakError(
    "KERNEL_BUILD_FAILED",
    `${name} ${version} does not take ${untaken.length} lines of the configuration: ${untaken.slice(0, 5).join(", ")}`,
    {
      hint: "The stock kernel goes on working: firebreak kernel use stock. A newer firebreak may know the newer source.",
      details: { untaken },
    },
  );
}

function translate(thrown: unknown): FirebreakError {
  const error = toFirebreakError(thrown);
  if (error.code !== "TOOL_FAILED") return error;
  return new FirebreakError("KERNEL_BUILD_FAILED", `the kernel could not be built: ${error.message}`, {
    cause: error,
    hint: "The stock kernel goes on working: firebreak kernel use stock.",
  });
}
