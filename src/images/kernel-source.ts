import { readdir } from "node:fs/promises";
import path from "node:path";
import type { AptPackage } from "./apt.ts";
import { asFetch, fetchFailed, fetchTree, openKernelArchive, resolveMetaPackage } from "./kernel-package.ts";
import type { ImageOptions } from "./progress.ts";
import { runTool } from "./tools.ts";
import { removeTree } from "./work-dir.ts";

/** Debian's metapackage of the kernel's source, with Debian's patches applied. */
const SOURCE_META_PACKAGE = "linux-source";

const OTHER_ARCHES = [
  ...["alpha", "arc", "arm", "arm64", "csky", "hexagon", "ia64", "loongarch", "m68k", "microblaze", "mips", "nios2"],
  ...["openrisc", "parisc", "powerpc", "riscv", "s390", "sh", "sparc", "um", "xtensa"],
];
const OTHER_DRIVERS = [
  ...["drivers/gpu", "drivers/infiniband", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless"],
  ...["drivers/staging", "sound"],
];

/** What no build of ours reads, more than half of the tree. Kconfig files are read, whatever they are of, and stay. */
const UNUSED = [
  ...["*/Documentation/*/*", "*/tools/perf/*", "*/tools/testing/*"],
  ...[...OTHER_ARCHES.map((arch) => `arch/${arch}`), ...OTHER_DRIVERS].flatMap((folder) => [
    `*/${folder}/*.[chS]`,
    `*/${folder}/*.dts*`,
  ]),
];

export interface KernelSource {
  /** The root of the unpacked source. */
  folder: string;
  package: AptPackage;
  /** URI of the archive. */
  archive: string;
}

/** Fetches Debian's kernel source, signed as its kernel is, and unpacks it below `work`. Throws KERNEL_FETCH_FAILED. */
export async function fetchKernelSource(work: string, options: ImageOptions): Promise<KernelSource> {
  return asFetch(async () => {
    const archive = await openKernelArchive(work, options);
    const wanted = await resolveMetaPackage(archive, SOURCE_META_PACKAGE, "linux-source-", options.signal);
    const tree = await fetchTree(work, archive, wanted, options);
    const tarball = path.join(tree, "usr/src", `${wanted.name}.tar.xz`);
    const excludes = UNUSED.map((pattern) => `--exclude=${pattern}`);
    await runTool("tar", ["-C", work, "--no-same-owner", ...excludes, "-xf", tarball], {
      ...(options.signal && { signal: options.signal }),
    });
    await removeTree(tree);
    const name = (await readdir(work)).find((entry) => entry === wanted.name);
    if (name === undefined) throw fetchFailed(`package ${wanted.name} has no kernel source`);
    return { folder: path.join(work, name), package: wanted, archive: archive.source };
  });
}
