import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { showPackage } from "../../src/images/apt.ts";
import { fetchTree, openKernelArchive } from "../../src/images/kernel-package.ts";
import type { Kernel } from "../../src/images/kernel-store.ts";

/** In the order of insertion. */
export const KVM_MODULES = ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"];

/** KVM's modules for a stock kernel, out of its signed package, which guests otherwise have no use for. Kept in `folder`. */
export async function fetchKvmModules(kernel: Kernel, folder: string): Promise<string> {
  const target = path.join(folder, kernel.id);
  if ((await readdir(target).catch(() => [])).length === KVM_MODULES.length) return target;
  const work = path.join(folder, `${kernel.id}.work`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const archive = await openKernelArchive(work, {});
  const wanted = await showPackage(archive.apt, kernel.package);
  if (wanted === undefined)
    throw new Error(`Debian's archive has no ${kernel.package} any more: delete ${kernel.folder}`);
  const tree = await fetchTree(work, archive, wanted, {});
  const found = await readdir(path.join(tree, "lib/modules", kernel.release), { recursive: true });
  const made = path.join(work, "modules");
  await mkdir(made);
  for (const name of KVM_MODULES) {
    const file = found.find((each) => path.basename(each) === name);
    if (file === undefined) throw new Error(`${kernel.package} has no ${name}`);
    await copyFile(path.join(tree, "lib/modules", kernel.release, file), path.join(made, name));
  }
  await rename(made, target);
  await rm(work, { recursive: true });
  return target;
}
