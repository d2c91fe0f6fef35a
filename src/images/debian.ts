import { chmod, lstat, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { strictAptOptions } from "./apt.ts";
import { type DebianRecipe, listGuestFiles } from "./debian-recipe.ts";
import { createProgressCounter } from "./mmdebstrap-progress.ts";
import { fetchNpmPackage } from "./npm.ts";
import type { ImageOptions } from "./progress.ts";
import { DEBIAN_KEYRING } from "./requirements.ts";
import { findDebianArchive, guestArchive, renderSources } from "./sources.ts";
import { checkFreeSpace, requireTools, runTool } from "./tools.ts";
import { withWorkDir } from "./work-dir.ts";

/** What a build leaves in its work folder. */
export interface BuiltRootfs {
  rootfsPath: string;
  format: "squashfs";
  /** Debian packages by name, with their versions. */
  packages: Record<string, string>;
}

const TOOLS = ["npm", "tar", "apt-config", "gpgv", "mmdebstrap", "setpriv", "unshare", "sqfstar"];

/** Tree, its tar and the packed file stand side by side for a moment. */
const NEEDED_MIB = 1200;

/** Files as root's, whatever the umask and the user that builds; the same input gives the same bytes. */
const TAR_OPTIONS = [
  ...["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"],
  "--mode=u=rwX,go=rX",
];

/**
 * Builds the debian image's root filesystem in `work`. Every Debian package comes from the archive signed with the
 * keyring, Node.js and npm from the user's npm registry with pinned integrity. Runs as root or, by a user namespace,
 * without. Throws TOOL_FAILED, TOOL_NOT_FOUND, IMAGE_BUILD_FAILED or HOST_DISK_FULL.
 */
export async function buildDebianRootfs(
  work: string,
  recipe: DebianRecipe,
  options: ImageOptions,
): Promise<BuiltRootfs> {
  const env = options.env ?? process.env;
  const keyring = options.keyring ?? DEBIAN_KEYRING.path;
  const isRoot = process.getuid?.() === 0;
  await requireTools([...TOOLS, ...(isRoot ? [] : ["newuidmap"])], keyring);
  await checkFreeSpace(path.dirname(work), NEEDED_MIB);
  const archive = await findDebianArchive(env);
  const extras = path.join(work, "extras");
  await addNode(work, extras, recipe, { ...options, env });
  const guestKeyring = DEBIAN_KEYRING.path;
  await addGuestFiles(extras, renderGuestSources(archive, guestKeyring, recipe));
  const extrasTar = path.join(work, "extras.tar");
  await runTool("tar", ["-C", extras, ...TAR_OPTIONS, "-cf", extrasTar, "."], pickSignal(options));
  await rm(extras, { recursive: true, force: true });

  const sources = path.join(work, "sources.list");
  await writeFile(sources, renderSources(archive, keyring, recipe.arch));
  const aptConf = path.join(work, "strict.conf");
  await writeFile(aptConf, `${(await strictAptOptions(env)).join("\n")}\n`);
  const tarFile = path.join(work, "rootfs.tar");
  await runMmdebstrap({ work, sources, aptConf, extrasTar, tarFile }, recipe, { ...options, env });
  await rm(extrasTar);
  await appendPolicy(work, tarFile, options);

  options.onProgress?.({ step: "pack", message: "packing the root filesystem" });
  const rootfsPath = path.join(work, "rootfs.squashfs");
  const { compression, blockBytes } = recipe.squashfs;
  // sqfstar reads standard input only; owners and device nodes come from the tar, so no root is needed.
  // The tar has no entry for the root folder itself; sqfstar would make it writable to all.
  const script = 'exec sqfstar -comp "$1" -b "$2" -root-mode 0755 -root-uid 0 -root-gid 0 -no-progress "$3" < "$4"';
  const packed = ["-c", script, "sh", compression, String(blockBytes), rootfsPath, tarFile];
  await runTool("sh", packed, { name: "sqfstar", ...pickSignal(options) });
  await rm(tarFile);
  return { rootfsPath, format: "squashfs", packages: parseDpkgStatus(await readFile(statusFile(work), "utf8")) };
}

/**
 * No service manager runs in the guest: a package must not try to start its service while it is installed. mmdebstrap
 * removes such a file of its own at the end, and would remove ours with it, so it is added afterwards.
 */
async function appendPolicy(work: string, tarFile: string, options: ImageOptions): Promise<void> {
  const folder = path.join(work, "policy");
  const name = "./usr/sbin/policy-rc.d";
  await mkdir(path.join(folder, "usr/sbin"), { recursive: true });
  await writeFile(path.join(folder, name), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  await runTool("tar", ["-C", folder, ...TAR_OPTIONS, "-rf", tarFile, name], pickSignal(options));
}

interface MmdebstrapFiles {
  work: string;
  sources: string;
  aptConf: string;
  extrasTar: string;
  tarFile: string;
}

async function runMmdebstrap(
  files: MmdebstrapFiles,
  recipe: DebianRecipe,
  options: ImageOptions & { env: NodeJS.ProcessEnv },
): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const count = createProgressCounter();
  const run = (tmpdir: string) =>
    runTool(
      // Should we be killed, mmdebstrap is told to end (and cleans up) instead of building on for nobody (prctl(2)).
      "setpriv",
      [
        ...["--pdeathsig", "TERM", "--"],
        // As root, mmdebstrap mounts the host's /sys and /dev/shm inside its tree. In a namespace of their own those mounts end
        // with it even when it is killed; left behind in ours, removing the tree would empty what is mounted.
        ...(isRoot ? ["unshare", "--mount", "--propagation", "private", "--"] : []),
        "mmdebstrap",
        `--mode=${isRoot ? "root" : "unshare"}`,
        "--variant=minbase",
        "--format=tar",
        "--verbose",
        `--architectures=${recipe.arch}`,
        `--include=${recipe.packages.join(",")}`,
        `--aptopt=${files.aptConf}`,
        ...recipe.dpkgPaths.map((option) => `--dpkgopt=${option}`),
        // What was for this build alone (the host's proxy, its TLS settings) must not stay in the image.
        '--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"',
        // openssh-server makes host keys when it is installed: in an image all VMs would have them in common.
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
        `--customize-hook=tar-in ${files.extrasTar} /`,
        `--customize-hook=download /var/lib/dpkg/status ${statusFile(files.work)}`,
        recipe.suite,
        files.tarFile,
        files.sources,
      ],
      {
        name: "mmdebstrap",
        ...pickSignal(options),
        env: { ...options.env, TMPDIR: tmpdir, LC_ALL: "C.UTF-8" },
        onLine: (line) => {
          const progress = count(line);
          if (progress !== undefined) options.onProgress?.(progress);
        },
      },
    );
  options.onProgress?.({ step: "packages", message: "installing Debian packages", fraction: 0 });
  if (isRoot) {
    const tmpdir = path.join(files.work, "tmp");
    await mkdir(tmpdir);
    await run(tmpdir);
    return;
  }
  // The build's root is a subordinate uid, which may not pass through a home folder that is closed to others.
  await withWorkDir(await createSharedTmpdir(), async (tmpdir) => {
    await checkFreeSpace(tmpdir, NEEDED_MIB / 2);
    await run(tmpdir);
  });
}

async function createSharedTmpdir(): Promise<string> {
  const folder = path.join(os.tmpdir(), `firebreak-build-${process.getuid?.()}`);
  await mkdir(folder, { recursive: true });
  const found = await lstat(folder);
  // Anyone may have made that name in /tmp before us, and would then own what is built in it.
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new FirebreakError("IMAGE_BUILD_FAILED", `${folder} belongs to somebody else`, {
      hint: "Set TMPDIR to a folder of your own that others may pass through.",
    });
  }
  await chmod(folder, 0o755);
  return folder;
}

/** Node.js and npm as /usr/local/bin/{node,npm,npx}. */
async function addNode(
  work: string,
  extras: string,
  recipe: DebianRecipe,
  options: ImageOptions & { env: NodeJS.ProcessEnv },
): Promise<void> {
  const message = `fetching Node.js ${recipe.node.version} and npm ${recipe.npm.version}`;
  options.onProgress?.({ step: "node", message, fraction: 0 });
  const download = path.join(work, "npm");
  const bin = path.join(extras, "usr/local/bin");
  const licenses = path.join(extras, "usr/local/share/licenses/node");
  const npmFolder = path.join(extras, "usr/local/lib/node_modules/npm");
  for (const folder of [download, bin, licenses, npmFolder]) await mkdir(folder, { recursive: true });

  const fetchOptions = { env: options.env, ...pickSignal(options) };
  const node = await fetchNpmPackage(recipe.node, download, fetchOptions);
  options.onProgress?.({ step: "node", message, fraction: 0.6 });
  const npm = await fetchNpmPackage(recipe.npm, download, fetchOptions);
  options.onProgress?.({ step: "node", message, fraction: 0.8 });
  const unpack = (file: string, target: string, ...members: string[]) =>
    runTool(
      "tar",
      ["--no-same-owner", "--strip-components=1", "-C", target, "-xzf", file, ...members],
      pickSignal(options),
    );
  await unpack(node, licenses, "package/LICENSE", "package/bin/node");
  await rename(path.join(licenses, "bin/node"), path.join(bin, "node"));
  await rm(path.join(licenses, "bin"), { recursive: true });
  await chmod(path.join(bin, "node"), 0o755);
  await unpack(npm, npmFolder);
  for (const name of ["docs", "man"]) await rm(path.join(npmFolder, name), { recursive: true, force: true });
  for (const name of ["npm", "npx"]) {
    await chmod(path.join(npmFolder, `bin/${name}-cli.js`), 0o755);
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, path.join(bin, name));
  }
  await rm(download, { recursive: true });
  options.onProgress?.({ step: "node", message, fraction: 1 });
}

async function addGuestFiles(extras: string, sourcesList: string): Promise<void> {
  await mkdir(path.join(extras, "workspace"), { recursive: true });
  for (const { path: name, content } of listGuestFiles(sourcesList)) {
    const file = path.join(extras, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

function renderGuestSources(
  archive: Parameters<typeof guestArchive>[0],
  keyring: string,
  recipe: DebianRecipe,
): string {
  const guest = guestArchive(archive);
  const updates = `deb [arch=${recipe.arch} signed-by=${keyring}] ${guest.main} ${recipe.suite}-updates main\n`;
  return renderSources(guest, keyring, recipe.arch) + updates;
}

/** Package names and versions out of dpkg's status file; only what is installed. */
export function parseDpkgStatus(text: string): Record<string, string> {
  const packages: Record<string, string> = {};
  for (const stanza of text.split("\n\n")) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1];
    const [name, version] = [field("Package"), field("Version")];
    if (name === undefined || version === undefined || !/ installed$/.test(field("Status") ?? "")) continue;
    packages[name] = version;
  }
  return packages;
}

function statusFile(work: string): string {
  return path.join(work, "dpkg-status");
}

function pickSignal(options: { signal?: AbortSignal }): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
