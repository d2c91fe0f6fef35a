import { z } from "zod";

const NOT_KEPT = ["/dev", "/proc", "/sys"];

/** Where something is in a guest, or is put: anywhere, told without detours. */
export const guestPathSchema = z
  .string()
  .max(4095)
  .refine(isPlain, "an absolute path in the VM is wanted, such as /srv/data: no '.', '..' or '//'");

/** A directory whose content is fetched: not all that there is, and nothing that the kernel makes up. */
export const outputDirSchema = guestPathSchema.refine(
  (path) => path !== "/" && !NOT_KEPT.some((tree) => path === tree || path.startsWith(`${tree}/`)),
  "an output directory is not /, and not in /dev, /proc or /sys",
);

function isPlain(path: string): boolean {
  // Half a pair is no UTF-8.
  if (path === "" || !path.isWellFormed()) return false;
  if (path === "/") return true;
  const parts = path.split("/");
  // Control characters would come back in errors and tables.
  return (
    parts.shift() === "" && parts.every((part) => part !== "" && part !== "." && part !== "..") && !/\p{Cc}/u.test(path)
  );
}
