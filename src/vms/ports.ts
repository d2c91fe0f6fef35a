import type { Progress } from "../contract/vm.ts";
import type { BootFiles } from "../vmm/driver.ts";

export type OnProgress = (progress: Progress) => void;

export interface WorkOptions {
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export interface ImageRef {
  name: string;
  /** `sha256:…` of the root file system. */
  digest: string;
  rootfsPath: string;
  /** What every command in its VMs finds in its environment, unless the VM says otherwise. */
  env: Record<string, string>;
}

export interface KernelRef extends BootFiles {
  kernelId: string;
}

/** What a VM is made from. */
export interface BootSource {
  /** By name or digest; a built-in image that has not been built yet is built. Throws IMAGE_NOT_FOUND, IMAGE_CORRUPT. */
  resolveImage(nameOrDigest: string, options: WorkOptions): Promise<ImageRef>;
  /** The default kernel with its initrd, fetched on first use. */
  resolveKernel(options: WorkOptions): Promise<KernelRef>;
  /** A kernel that a VM was created with. */
  getKernel(kernelId: string): Promise<KernelRef>;
}
