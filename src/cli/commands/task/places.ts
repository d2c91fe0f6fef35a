import path from "node:path";
import type { TaskFile } from "../../../contract/task.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";

/**
 * Where a task's files are written below a directory of this host. A daemon leaves out names that lead elsewhere; one on another host may have been taken over.
 * Throws ARCHIVE_INVALID for such a name.
 */
export function placesBelow(directory: string, files: readonly TaskFile[]): { file: TaskFile; place: string }[] {
  return files.map((file) => {
    const isPlain = !file.path.includes("\0") && file.path.split("/").every((part) => !["", ".", ".."].includes(part));
    if (!isPlain)
      throw new FirebreakError("ARCHIVE_INVALID", `the name ${JSON.stringify(file.path)} leads out of ${directory}`, {
        hint: "Nothing was written. No daemon of firebreak's has such a name: look at where it is from.",
      });
    return { file, place: path.join(directory, file.path) };
  });
}
