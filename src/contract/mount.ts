import { z } from "zod";
import { mountPathSchema } from "./mount-path.ts";

/** Host directories and files that a VM sees live. Only for callers on the UNIX socket. */

export const MAX_MOUNTS_PER_VM = 16;
const OF_THE_AGENT = /^\/(etc|run\/firebreak)(\/|$)/;

export const vmMountSchema = z.strictObject({
  hostPath: z
    .string()
    .max(4095)
    .refine(
      (value) => value.startsWith("/") && !/\p{Cc}/u.test(value),
      "a path of this host is absolute, and holds no control characters",
    )
    .describe("a directory or regular file of this host"),
  guestPath: mountPathSchema
    .refine((path) => !OF_THE_AGENT.test(path), "nothing of the host's is mounted in /etc or /run/firebreak")
    .describe("where the VM sees it"),
  access: z.enum(["ro", "rw"], "ro or rw").default("ro").describe("`rw`: what the VM changes is changed on this host"),
});
export type VmMount = z.output<typeof vmMountSchema>;

export const vmMountsSchema = z
  .array(vmMountSchema)
  .max(MAX_MOUNTS_PER_VM, `at most ${MAX_MOUNTS_PER_VM}`)
  .refine(
    (mounts) => new Set(mounts.map(({ guestPath }) => guestPath)).size === mounts.length,
    "two mounts have the same path in the guest",
  );
