/** What a guest needs for drives that come while it runs: in its initrd, and inserted with the first of them. */
export const DRIVE_MODULES = ["virtio_scsi", "sd_mod"];

/** What a network card needs: in the initrd, and inserted with the first use of it. */
export const CARD_MODULES = ["virtio_net"];

/** What mounts of host directories need: in the initrd, and inserted with the first of them. */
export const MOUNT_MODULES = ["fuse"];

/** What a machine needs that is reached by vsock: in the initrd, and inserted at boot where the kernel's command line says so. */
export const VSOCK_MODULES = ["vmw_vsock_virtio_transport"];

/** What a balloon needs: in the initrd, and inserted at boot where the kernel's command line says so. */
export const BALLOON_MODULES = ["virtio_balloon"];

/** What a guest has for addresses that lead nowhere: inserted at boot. Kernels that were fetched before it was wanted do without. */
export const BOOT_EXTRAS = ["tun"];

/** What a kernel module file says of itself. */
export interface ModuleInfo {
  /** Names (with '_') of the modules that must be inserted first. */
  depends: string[];
}

/** A module's name as the kernel knows it: file names use '-' and '_' alike. */
export function moduleName(fileName: string): string {
  return (fileName.split("/").pop() as string).replace(/\.ko$/, "").replaceAll("-", "_");
}

/**
 * Reads the ".modinfo" section of an x86-64 or arm64 kernel module (ELF64, little endian; elf(5)). Debian's package has
 * no modules.dep (depmod makes it when the package is installed), so the dependencies are read where depmod reads them.
 * Throws a RangeError when the bytes are not such a file.
 */
export function readModuleInfo(file: Buffer): ModuleInfo {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new RangeError("not a 64-bit little-endian ELF file");
  }
  const tableOffset = Number(file.readBigUInt64LE(0x28));
  const headerSize = file.readUInt16LE(0x3a);
  const count = file.readUInt16LE(0x3c);
  const section = (index: number) => {
    const at = tableOffset + index * headerSize;
    const offset = Number(file.readBigUInt64LE(at + 0x18));
    return {
      name: file.readUInt32LE(at),
      data: file.subarray(offset, offset + Number(file.readBigUInt64LE(at + 0x20))),
    };
  };
  const names = section(file.readUInt16LE(0x3e)).data;
  for (let index = 0; index < count; index++) {
    const { name, data } = section(index);
    if (names.toString("latin1", name, names.indexOf(0, name)) === ".modinfo") return parseModuleInfo(data);
  }
  throw new RangeError("no .modinfo section");
}

function parseModuleInfo(data: Buffer): ModuleInfo {
  const fields = data.toString("latin1").split("\0");
  const depends = fields.find((field) => field.startsWith("depends="))?.slice("depends=".length) ?? "";
  return {
    depends: depends
      .split(",")
      .filter((name) => name !== "")
      .map(moduleName),
  };
}

/**
 * The modules wanted and all they need, each after what it depends on; otherwise in the order given. A name that
 * `dependsOn` does not know (undefined) is an error of the caller's choosing: `onMissing` is called for it.
 */
export function orderModules(
  wanted: readonly string[],
  dependsOn: (name: string) => readonly string[] | undefined,
  onMissing: (name: string) => void,
): string[] {
  const ordered = new Set<string>();
  const open = new Set<string>();
  const visit = (name: string) => {
    // A circle cannot come out of the kernel's build; if one is met, the order inside it does not matter.
    if (ordered.has(name) || open.has(name)) return;
    const depends = dependsOn(name);
    if (depends === undefined) return onMissing(name);
    open.add(name);
    for (const dependency of depends) visit(dependency);
    ordered.add(name);
  };
  for (const name of wanted) visit(moduleName(name));
  return [...ordered];
}
