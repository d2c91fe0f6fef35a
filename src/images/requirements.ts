/** A host program that this folder runs. */
export interface HostRequirement {
  program: string;
  /** The Debian package that has it. */
  debianPackage: string;
  why: string;
}

/** Everything that kernel, initrd, image and drive creation run on the host; `doctor` and `make setup` read it. */
export const IMAGE_REQUIREMENTS: readonly HostRequirement[] = [
  { program: "apt-get", debianPackage: "apt", why: "fetches the guest kernel package and checks its signature" },
  { program: "gpgv", debianPackage: "gpgv", why: "apt verifies the archive's signature with it" },
  { program: "dpkg-deb", debianPackage: "dpkg", why: "unpacks the guest kernel package without installing it" },
  { program: "mmdebstrap", debianPackage: "mmdebstrap", why: "builds the root filesystem of the debian image" },
  { program: "setpriv", debianPackage: "util-linux", why: "ends a build whose firebreak process was killed" },
  { program: "unshare", debianPackage: "util-linux", why: "keeps the mounts of a build to itself" },
  { program: "sqfstar", debianPackage: "squashfs-tools", why: "packs the root filesystem of an image" },
  { program: "tar", debianPackage: "tar", why: "unpacks npm packages and packs files for an image" },
  { program: "npm", debianPackage: "npm", why: "fetches Node.js and npm for the debian image" },
  { program: "skopeo", debianPackage: "skopeo", why: "fetches images from registries, and sends them there" },
  {
    program: "sqfs2tar",
    debianPackage: "squashfs-tools-ng",
    why: "reads the root filesystem of an image that is pushed",
  },
  { program: "xz", debianPackage: "xz-utils", why: "unpacks archives that are compressed with it" },
  { program: "mkfs.ext4", debianPackage: "e2fsprogs", why: "formats the overlay drive of a VM" },
];

/** What `kernel build` runs besides; nothing else needs it. */
export const KERNEL_BUILD_REQUIREMENTS: readonly HostRequirement[] = [
  { program: "make", debianPackage: "make", why: "builds the kernel" },
  { program: "gcc", debianPackage: "gcc", why: "compiles the kernel" },
  { program: "ld", debianPackage: "binutils", why: "links the kernel" },
  { program: "strip", debianPackage: "binutils", why: "takes the symbols out of the kernel's file" },
  { program: "flex", debianPackage: "flex", why: "the kernel's configuration is parsed with it" },
  { program: "bison", debianPackage: "bison", why: "the kernel's configuration is parsed with it" },
  { program: "bc", debianPackage: "bc", why: "computes constants of the kernel's clock" },
  { program: "xz", debianPackage: "xz-utils", why: "unpacks the kernel's source" },
  { program: "nice", debianPackage: "coreutils", why: "lets VMs go before the kernel's build" },
];

/** Headers that programs of the kernel's build are compiled with. */
export const KERNEL_BUILD_HEADERS: readonly { path: string; debianPackage: string }[] = [
  { path: "/usr/include/stdio.h", debianPackage: "libc6-dev" },
  { path: "/usr/include/gelf.h", debianPackage: "libelf-dev" },
];

/** Needed by builds that do not run as root: newuidmap maps the ids of the root filesystem's files. */
export const ROOTLESS_IMAGE_REQUIREMENTS: readonly HostRequirement[] = [
  { program: "newuidmap", debianPackage: "uidmap", why: "lets mmdebstrap build without root" },
];

/** Not a program, but as needed: the keys that the Debian archive is signed with. */
export const DEBIAN_KEYRING = {
  path: "/usr/share/keyrings/debian-archive-keyring.gpg",
  debianPackage: "debian-archive-keyring",
} as const;
