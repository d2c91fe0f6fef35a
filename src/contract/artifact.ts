import { z } from "zod";

/** The HTTP API's artifacts: files and directories of VMs that are kept in the daemon's store and outlive their VM. */

const count = z.number().int().nonnegative();

export const artifactNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$/, "a name is made of letters, digits and '._+-', at most 200 characters");

export const artifactCreateSchema = z.strictObject({
  path: z.string().max(4095).startsWith("/", "a path in the guest is absolute").describe("of a file or a directory"),
  name: artifactNameSchema
    .optional()
    .describe("that of the file or directory when absent, with a number when it is taken"),
  maxBytes: count.optional().describe("what is larger is refused; 16 GiB when absent"),
});
export type ArtifactCreate = z.input<typeof artifactCreateSchema>;

export const artifactSchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(["file", "directory"]).describe("a directory is kept as a tar"),
  mediaType: z.string().describe("by its name and its first bytes: what the VM made may be anything"),
  sizeBytes: count,
  digest: z.string().describe("sha256:…; equal content is kept once"),
  vm: z.object({ id: z.string(), name: z.string() }).describe("the VM that it is of, which may be gone"),
  path: z.string().describe("where it was in the VM"),
  createdAt: z.string(),
});
export type Artifact = z.infer<typeof artifactSchema>;
