import { createHash } from "node:crypto";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import type { Disk } from "../../src/snapshots/ports.ts";

/** Small files in place of drives. */
export class FakeDisk implements Disk {
  free = 2 ** 40;

  async freeBytes(): Promise<number> {
    return this.free;
  }

  copySparse(from: string, to: string): Promise<void> {
    return copyFile(from, to);
  }

  async digest(file: string): Promise<{ sha256: string; dataBytes: number; sizeBytes: number }> {
    const bytes = await readFile(file);
    return {
      sha256: createHash("sha256").update(bytes).digest("hex"),
      dataBytes: bytes.length,
      sizeBytes: bytes.length,
    };
  }

  async createOverlay(file: string): Promise<void> {
    await writeFile(file, "blank");
  }
}
