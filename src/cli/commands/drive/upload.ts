import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { describePath, HostTree } from "../../../archive/host-tree.ts";
import { packTree, walkTree } from "../../../archive/pack.ts";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import type { Drive } from "../../../contract/drive.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";

/** Makes a drive of a file's bytes or a directory's files, which are sent to the daemon: it reads nothing of this host by itself. */
export async function uploadDrive(
  client: DaemonClient,
  request: { name: string; sizeMib?: number },
  source: string,
): Promise<{ drive: Drive; skipped: string[] }> {
  const info = await stat(source).catch(() => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such file or directory on this host: ${source}`);
  });
  if (info.isFile()) {
    const drive = await client.driveCreateFrom({ ...request, content: "raw" }, createReadStream(source));
    return { drive, skipped: [] };
  }
  if (!info.isDirectory())
    throw new FirebreakError("INVALID_ARGUMENT", `${source} is neither a file nor a directory`, {
      hint: "A drive is made of a disk image or of a directory.",
    });
  const tree = await HostTree.open(source);
  const skipped: string[] = [];
  try {
    const items = walkTree(tree, { onSpecial: (special) => skipped.push(describePath(special)) });
    const body = Readable.from(packTree(tree, items), { objectMode: false });
    let failure: unknown;
    body.on("error", (error) => {
      failure = error;
    });
    const drive = await client.driveCreateFrom({ ...request, content: "tar" }, body).catch((error: unknown) => {
      // What broke the upload off counts, rather than that it broke off.
      throw failure ?? error;
    });
    return { drive, skipped };
  } finally {
    await tree.close();
  }
}
