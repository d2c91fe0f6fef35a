/** What snapshots need of the host's disk. */
export interface Disk {
  /** Copies a sparse file, sharing its blocks where the file system can. Throws HOST_DISK_FULL; then there is no copy. */
  copySparse(from: string, to: string): Promise<void>;
  /** The digest of a sparse file as `firebreak-agent digest-memory` defines it, and how much of it holds anything. */
  digest(file: string): Promise<{ sha256: string; dataBytes: number; sizeBytes: number }>;
  /** What may still be written to the file system of a path by those who are not root, bytes. */
  freeBytes(path: string): Promise<number>;
  /** A formatted drive. */
  createOverlay(file: string, sizeMib: number): Promise<void>;
}
