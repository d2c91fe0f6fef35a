import { z } from "zod";

/** The HTTP API's image resource. */

const count = z.number().int().nonnegative();

/** What its maker says of how an image is to be used. */
export const imageConfigSchema = z.object({
  entrypoint: z.array(z.string()),
  cmd: z.array(z.string()).describe("'firebreak run' without a command runs the entrypoint and this"),
  workingDir: z.string().optional(),
  user: z.string().optional(),
});
export type ImageConfig = z.infer<typeof imageConfigSchema>;

export const imageUserSchema = z.object({
  kind: z.enum(["vm", "snapshot", "template"]),
  id: z.string(),
  name: z.string(),
});
export type ImageUser = z.infer<typeof imageUserSchema>;

export const imageInfoSchema = z.object({
  name: z.string().describe("the first of its tags, or what it was made as when it has none"),
  tags: z.array(z.string()),
  digest: z.string(),
  sizeBytes: count,
  format: z.string(),
  arch: z.string(),
  createdAt: z.string(),
  recipe: z.string().describe("how it came about: a built-in recipe's name, pull, import or build"),
  source: z
    .object({ reference: z.string(), digest: z.string() })
    .optional()
    .describe("where it was pulled from, and the digest that it had there"),
  env: z.record(z.string(), z.string()).describe("base environment of every command in its VMs"),
  config: imageConfigSchema,
  usedBy: z
    .array(imageUserSchema)
    .describe("what could not go on without it; a template is made anew when it is needed again"),
});
export type ImageInfo = z.infer<typeof imageInfoSchema>;
export const imageListingSchema = z.object({
  images: z.array(imageInfoSchema),
  making: z.array(z.string()).describe("names of those that are being built or fetched"),
});
export type ImageListing = z.infer<typeof imageListingSchema>;

/** Answer of whatever makes an image. */
export const imageResultSchema = z.object({
  image: imageInfoSchema,
  isUpToDate: z.boolean().describe("there was nothing to do"),
  warnings: z.array(z.string()).describe("what is left out of what the image asks for"),
});
export type ImageResult = z.infer<typeof imageResultSchema>;

export const imageDeletedSchema = z.object({
  deleted: z.string(),
  digest: z.string(),
  tags: z.array(z.string()).describe("names that are free again"),
  templates: z.array(z.string()).describe("ids of its templates, which went with it"),
  freedBytes: count,
});
export type ImageDeleted = z.infer<typeof imageDeletedSchema>;

export const imagePrunedSchema = z.object({
  images: z.array(imageDeletedSchema),
  freedBytes: count,
  isDryRun: z.boolean(),
});
export type ImagePruned = z.infer<typeof imagePrunedSchema>;

const imageName = z.string().min(1).max(127);

export const platformSchema = z
  .string()
  .regex(/^[a-z0-9]{1,20}\/[a-z0-9_]{1,20}(\/[a-z0-9]{1,20})?$/, "a platform is OS/ARCHITECTURE, such as linux/amd64");

export const imagePullSchema = z.strictObject({
  reference: z.string().min(1).max(600),
  name: imageName.optional(),
  platform: platformSchema.optional(),
  /** False only for a registry on this host. */
  tlsVerify: z.boolean().optional(),
  /** Also when an image of that content is there. */
  force: z.boolean().optional(),
});
export type ImagePull = z.input<typeof imagePullSchema>;

export const imagePushSchema = z.strictObject({
  reference: z.string().min(1).max(600).describe("REGISTRY/REPOSITORY[:TAG]; the registry has to be named"),
  tlsVerify: z.boolean().optional().describe("false only for a registry on this host"),
});
export type ImagePush = z.input<typeof imagePushSchema>;

export const imagePushedSchema = z.object({
  image: imageInfoSchema,
  reference: z.string().describe("where it is now, with its tag"),
  digest: z.string().describe("of its manifest, by which the registry knows it"),
  layerBytes: count.describe("of its one layer, compressed"),
});
export type ImagePushed = z.infer<typeof imagePushedSchema>;

/** A login to a registry. It travels in a header of its own, since a request's body may be kept. */
export const registryCredentialsSchema = z.strictObject({
  username: z.string().min(1).max(1000),
  password: z.string().max(20_000),
});
export type RegistryCredentials = z.infer<typeof registryCredentialsSchema>;

export const IMPORT_FORMATS = ["rootfs", "oci-archive", "docker-archive"] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];
/** The query of an import, whose body is the archive. */
export const imageImportSchema = z.strictObject({
  name: imageName.optional().describe("a tag for it"),
  format: z.enum(IMPORT_FORMATS).default("rootfs").describe("what is sent"),
  reference: z.string().min(1).max(600).optional().describe("which image of an archive that holds several"),
  platform: platformSchema.optional().describe("which of an image's platforms (the host's)"),
});
export type ImageImport = z.input<typeof imageImportSchema>;

const mib = (least: number) =>
  z.coerce
    .number()
    .int()
    .min(least)
    .max(1024 * 1024)
    .optional();
/** The query of a build by a build file; its body is a tar of the context. */
export const imageBuildFileSchema = z.strictObject({
  name: imageName.describe("the image's name"),
  file: z.string().min(1).max(1000).describe("the build file's path in the context"),
  memoryMib: mib(128).describe("of the VM that it is built in, MiB"),
  cpus: z.coerce.number().int().min(1).max(64).optional().describe("virtual CPUs of that VM"),
  diskMib: mib(64).describe("what the build may write, MiB"),
});
export type ImageBuildFile = z.output<typeof imageBuildFileSchema>;

export const imageTagSchema = z.strictObject({ name: imageName });
export const imagePruneSchema = z.strictObject({ all: z.boolean().optional(), dryRun: z.boolean().optional() });
export type ImagePrune = z.input<typeof imagePruneSchema>;
