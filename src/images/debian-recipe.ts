import { GUEST_ARCH } from "./arch.ts";
import type { PinnedNpmPackage } from "./npm.ts";
import { DEBIAN_SUITE } from "./sources.ts";

/** All that decides what is in the built-in "debian" image; its digest tells whether an image is up to date. */
export interface DebianRecipe {
  kind: "debian";
  /** Raised when the build's code changes what it makes of the same values. */
  revision: number;
  suite: string;
  arch: string;
  packages: string[];
  /** dpkg's path-exclude and path-include, in order; they stay in force for what the guest installs. */
  dpkgPaths: string[];
  node: PinnedNpmPackage;
  npm: PinnedNpmPackage;
  /** Environment of every command in the guest. */
  env: Record<string, string>;
  squashfs: { compression: string; blockBytes: number };
}

export const DEBIAN_RECIPE: DebianRecipe = {
  kind: "debian",
  revision: 2,
  suite: DEBIAN_SUITE,
  arch: GUEST_ARCH.debArch,
  packages: [
    ...["bash", "ca-certificates", "coreutils", "curl", "git", "iproute2", "less"],
    // No service of theirs runs: the host starts an sshd for each connection, over the channel.
    ...["openssh-server", "openssh-sftp-server"],
    ...["procps", "python3"],
  ],
  dpkgPaths: [
    "path-exclude=/usr/share/doc/*",
    // Licences must come along with what they cover.
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
  ],
  node: {
    name: GUEST_ARCH.nodePackage,
    version: "24.21.0",
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  npm: {
    name: "npm",
    version: "11.21.2",
    integrity: "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
  },
  env: {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
  },
  // docs/adr has the measurements.
  squashfs: { compression: "lz4", blockBytes: 131072 },
};

/** Files of the guest that no package brings; folders are made as needed. */
export function listGuestFiles(sourcesList: string): { path: string; content: string }[] {
  return [
    { path: "etc/apt/sources.list", content: sourcesList },
    { path: "etc/apt/apt.conf.d/60firebreak", content: 'Acquire::Languages "none";\n' },
    { path: "etc/hostname", content: "firebreak\n" },
    {
      path: "etc/hosts",
      content: "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    },
    // Empty, not absent: the agent gives every VM its own (machine-id(5)).
    { path: "etc/machine-id", content: "" },
    // The build's copy names the host's resolver.
    { path: "etc/resolv.conf", content: "" },
  ];
}
