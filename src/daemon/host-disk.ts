import { rm, statfs } from "node:fs/promises";
import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { createOverlayDrive } from "../images/ext4.ts";
import { runTool } from "../images/tools.ts";
import { runCommand } from "../platform/process.ts";
import type { Disk } from "../snapshots/ports.ts";

const digestSchema = z.object({
  sha256: z.string(),
  dataBytes: z.number().int().min(0),
  sizeBytes: z.number().int().min(0),
});

/** The host's disk behind the port of `snapshots`. */
export class HostDisk implements Disk {
  readonly #agentPath: string;

  constructor(agentPath: string) {
    this.#agentPath = agentPath;
  }

  async copySparse(from: string, to: string): Promise<void> {
    try {
      // cp shares blocks where the file system can, and keeps holes; Node's copy would write them out.
      // A new file, also where one is: a dead daemon's cp may still write to that one.
      await runTool("cp", ["--reflink=auto", "--sparse=auto", "--remove-destination", "--", from, to]);
    } catch (error) {
      await rm(to, { force: true });
      throw error;
    }
  }

  async digest(file: string): Promise<{ sha256: string; dataBytes: number; sizeBytes: number }> {
    const { stdout } = await runCommand(this.#agentPath, ["digest-memory", file]);
    try {
      return digestSchema.parse(JSON.parse(stdout));
    } catch (error) {
      throw new FirebreakError("TOOL_FAILED", "the digest's tool answered something unexpected", { cause: error });
    }
  }

  async freeBytes(path: string): Promise<number> {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  }

  createOverlay(file: string, sizeMib: number): Promise<void> {
    return createOverlayDrive(file, sizeMib);
  }
}
