import { z } from "zod";

/** Secrets: values that VMs use and do not have. The API never tells a value. */

export const SECRET_NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
export const secretNameSchema = z
  .string()
  .regex(SECRET_NAME_PATTERN, "a secret's name is that of a variable: letters, digits and '_', at most 64");

export const MAX_SECRET_BYTES = 64 * 1024;
/** A shorter one would be found by chance in what is no secret. */
export const MIN_PROXIED_LENGTH = 8;

/** Where in a request a placeholder becomes the value. */
export const SECRET_PLACES = ["header", "query", "body"] as const;
export type SecretPlace = (typeof SECRET_PLACES)[number];

/** `proxy`: the VM has a placeholder. `env`: it has the value, in the environment of its commands. */
export const SECRET_EXPOSURES = ["proxy", "env"] as const;
export type SecretExposure = (typeof SECRET_EXPOSURES)[number];

/** The secrets that belong to the secret access key of AWS; its value never goes out: requests that are signed with its placeholder are signed anew with it. */
export const secretAwsSchema = z.strictObject({
  accessKeyId: secretNameSchema.describe("the secret that holds the access key id"),
  sessionToken: secretNameSchema.optional().describe("the one that holds the session token, of temporary keys"),
});
export type SecretAws = z.infer<typeof secretAwsSchema>;

const hostsSchema = z
  .array(z.string().min(1).max(600))
  .max(64, "at most 64 hosts")
  .describe("as rules of a policy name them; without a port, 443");

const valueSchema = z
  .string()
  .min(1, "the value is empty")
  .refine((value) => Buffer.byteLength(value) <= MAX_SECRET_BYTES, "the value has more than 64 KiB")
  .refine((value) => !value.includes("\0"), "the value holds a NUL");

export const secretSetSchema = z.strictObject({
  value: valueSchema,
  hosts: hostsSchema.optional(),
  places: z.array(z.enum(SECRET_PLACES)).min(1).optional().describe("default: header"),
  expose: z.enum(SECRET_EXPOSURES).optional().describe("default: proxy"),
  aws: secretAwsSchema.nullable().optional().describe("that it is the secret access key of AWS; null: it is none"),
});
export type SecretSet = z.infer<typeof secretSetSchema>;
export const secretRotateSchema = z.strictObject({ value: valueSchema });

export const secretSchema = z.object({
  name: z.string(),
  hosts: z.array(z.string()).describe("where its placeholder becomes the value"),
  places: z.array(z.enum(SECRET_PLACES)),
  expose: z.enum(SECRET_EXPOSURES),
  aws: secretAwsSchema.optional().describe("it is the secret access key of AWS, which signs and does not go out"),
  placeholder: z.string().describe("what VMs have in its place; it is worth nothing elsewhere"),
  createdAt: z.string(),
  rotatedAt: z.string().optional(),
  vms: z.array(z.string()).describe("names of the VMs that may use it"),
});
export type Secret = z.infer<typeof secretSchema>;

/** That a VM may use a secret, at its hosts or at fewer. */
export const secretGrantSchema = z.strictObject({
  name: secretNameSchema,
  hosts: hostsSchema.optional().describe("in the place of the secret's own"),
});
export type SecretGrant = z.infer<typeof secretGrantSchema>;
export const secretGrantsSchema = z.array(secretGrantSchema).max(64, "at most 64 secrets");

export const deletedSecretSchema = z.object({ deleted: z.string() });

/** Grants in lines for people. */
export function describeGrants(grants: readonly SecretGrant[]): string[] {
  return grants.map(({ name, hosts }) => `secret ${name}${hosts === undefined ? "" : ` for ${hosts.join(", ")}`}`);
}
