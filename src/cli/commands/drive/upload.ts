import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import type { Drive } from "../../../contract/drive.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { uploadTree } from "../../upload-tree.ts";

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
    const drive = await client.drives.createFrom({ ...request, content: "raw" }, createReadStream(source));
    return { drive, skipped: [] };
  }
  if (!info.isDirectory())
    throw new FirebreakError("INVALID_ARGUMENT", `${source} is neither a file nor a directory`, {
      hint: "A drive is made of a disk image or of a directory.",
    });
  const { result, skipped } = await uploadTree(source, (body) =>
    client.drives.createFrom({ ...request, content: "tar" }, body),
  );
  return { drive: result, skipped };
}
