import { z } from "zod";

/** Paths that nothing is mounted at, and those that nothing is mounted below either. */
const RESERVED = new Set(["/", "/dev", "/proc", "/run", "/sys", "/tmp"]);
const RESERVED_TREES = ["/dev/", "/proc/", "/sys/"];

/** Where in a guest a drive may be mounted; the guest agent has the same rules (docs/guest-protocol.md). */
export const mountPathSchema = z
  .string()
  .max(1024)
  .refine(
    isMountPath,
    "a drive is mounted at an absolute path such as /mnt/data: no '.', '..' or '//', not /, /tmp or /run, nothing in /dev, /proc or /sys",
  );

function isMountPath(path: string): boolean {
  const parts = path.split("/");
  const isPlain = parts.shift() === "" && parts.every((part) => part !== "" && part !== "." && part !== "..");
  const isReserved = RESERVED.has(path) || RESERVED_TREES.some((tree) => path.startsWith(tree));
  // Control characters would come back in errors and tables.
  return isPlain && !isReserved && !/\p{Cc}/u.test(path);
}
