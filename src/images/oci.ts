import { createHash } from "node:crypto";
import { z } from "zod";
import type { ImageConfig } from "../contract/image.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Layer } from "./flatten.ts";

/** Shapes of the OCI image specification, as far as they are needed, and their Docker forebears. Other keys are left alone. */
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const descriptor = z.object({
  mediaType: z.string().max(200).default(""),
  digest,
  size: z.number().int().min(0),
  platform: z
    .object({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .optional()
    .nullable(),
  annotations: z.record(z.string(), z.string()).optional().nullable(),
});
export type Descriptor = z.output<typeof descriptor>;

const MAX_LAYERS = 1000;
const indexSchema = z.object({ manifests: z.array(descriptor).max(10_000) });
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor).max(MAX_LAYERS) });
export type OciManifest = z.output<typeof manifestSchema>;

const texts = z.array(z.string().max(128 * 1024)).max(10_000);
const configSchema = z.object({
  architecture: z.string().max(50),
  os: z.string().max(50),
  config: z
    .object({
      User: z.string().max(1000).nullish(),
      Env: texts.nullish(),
      Entrypoint: texts.nullish(),
      Cmd: texts.nullish(),
      WorkingDir: z.string().max(4096).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digest).max(MAX_LAYERS) }),
});
export type OciConfig = z.output<typeof configSchema>;

export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

export function parsePlatform(text: string): Platform {
  const [os = "", architecture = "", variant] = text.split("/");
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

export function parseIndex(bytes: Buffer): Descriptor[] {
  return parse(indexSchema, bytes, "index").manifests;
}

export function parseManifest(bytes: Buffer): OciManifest {
  return parse(manifestSchema, bytes, "manifest");
}

export function parseConfig(bytes: Buffer): OciConfig {
  return parse(configSchema, bytes, "configuration");
}

/** A list of manifests rather than one. */
export function isIndex(bytes: Buffer): boolean {
  const value = parse(z.object({ manifests: z.unknown(), layers: z.unknown() }).partial(), bytes, "manifest");
  return Array.isArray(value.manifests) && value.layers === undefined;
}

/** The one manifest of an index that is for a platform. Throws IMAGE_PLATFORM_MISSING, naming those that there are. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor {
  const found = manifests.find(
    ({ platform }) =>
      platform?.os === wanted.os &&
      platform.architecture === wanted.architecture &&
      (wanted.variant === undefined || platform.variant === wanted.variant),
  );
  if (found !== undefined) return found;
  // "unknown": attestations and the like.
  const there = manifests.flatMap(({ platform }) =>
    platform && platform.os !== "unknown" ? [`${platform.os}/${platform.architecture}`] : [],
  );
  throw platformMissing(wanted, [...new Set(there)].slice(0, 20).join(", "));
}

export function requirePlatform(config: OciConfig, wanted: Platform): void {
  if (config.os === wanted.os && config.architecture === wanted.architecture) return;
  throw platformMissing(wanted, `${config.os}/${config.architecture}`);
}

function platformMissing(wanted: Platform, there: string): FirebreakError {
  return new FirebreakError(
    "IMAGE_PLATFORM_MISSING",
    `the image is not there for ${wanted.os}/${wanted.architecture}`,
    {
      hint: there === "" ? "It names no platform." : `It is there for: ${there}.`,
    },
  );
}

/** A layer's place and what it must be; Throws IMAGE_INVALID when configuration and manifest do not agree. */
export function toLayers(
  manifest: OciManifest,
  config: OciConfig,
  open: (digest: string) => { open: Layer["open"]; sizeBytes: number },
): Layer[] {
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== manifest.layers.length)
    throw malformed(`it has ${manifest.layers.length} layers, and its configuration speaks of ${diffIds.length}`);
  return manifest.layers.map((layer, index) => {
    if (!/(^|[.+])tar(\+gzip|\+zstd|\.gzip|\.zstd)?$/.test(layer.mediaType))
      throw malformed(`a layer is of the type ${JSON.stringify(layer.mediaType)}, which is not supported`);
    return { ...open(layer.digest), diffId: diffIds[index] as string };
  });
}

/** The image's wishes in firebreak's words, and those that cannot be had. */
export function toImageConfig({ config }: OciConfig): {
  config: ImageConfig;
  env: Record<string, string>;
  warnings: string[];
} {
  const warnings: string[] = [];
  const env: Record<string, string> = {};
  for (const pair of config?.Env ?? []) {
    const at = pair.indexOf("=");
    const name = at < 0 ? pair : pair.slice(0, at);
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && at > 0 && !pair.includes("\0")) env[name] = pair.slice(at + 1);
    else
      warnings.push(
        `the environment variable ${JSON.stringify(name.slice(0, 100))} is left out: it is no name that a shell takes`,
      );
  }
  const workingDir = config?.WorkingDir || undefined;
  const user = config?.User || undefined;
  const isAbsolute = workingDir?.startsWith("/") === true && !workingDir.includes("\0");
  if (workingDir !== undefined && !isAbsolute)
    warnings.push("the working directory is left out: it is no absolute path");
  const isUser = user !== undefined && /^[A-Za-z0-9._-]{1,64}(:[A-Za-z0-9._-]{1,64})?$/.test(user);
  if (user !== undefined && !isUser) warnings.push("the user is left out: it is neither a name nor a number");
  const words = (list: string[] | null | undefined) => (list ?? []).map((word) => word.replaceAll("\0", ""));
  return {
    config: {
      entrypoint: words(config?.Entrypoint),
      cmd: words(config?.Cmd),
      ...(isAbsolute ? { workingDir } : {}),
      ...(isUser ? { user } : {}),
    },
    env,
    warnings,
  };
}

/** Throws IMAGE_INVALID unless bytes are what their digest says. */
export function requireDigest(bytes: Buffer, expected: string): Buffer {
  const found = digestOf(bytes);
  if (found === expected) return bytes;
  throw malformed(`a part is not what its digest says: ${found} instead of ${expected}`);
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function malformed(why: string): FirebreakError {
  return new FirebreakError("IMAGE_INVALID", `the image is refused: ${why}`);
}

function parse<T>(schema: z.ZodType<T>, bytes: Buffer, what: string): T {
  if (bytes.length > MAX_MANIFEST_BYTES) throw malformed(`its ${what} has more than ${MAX_MANIFEST_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw malformed(`its ${what} is not JSON`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw malformed(`its ${what} is malformed: ${issue?.path.join(".")}: ${issue?.message}`);
}
