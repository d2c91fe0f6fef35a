import { stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type FilePart, readPart, readWholePart } from "./archive-files.ts";
import type { Layer } from "./flatten.ts";
import {
  choosePlatform,
  type Descriptor,
  digestOf,
  isIndex,
  MAX_MANIFEST_BYTES,
  malformed,
  type OciConfig,
  type OciManifest,
  type Platform,
  parseConfig,
  parseIndex,
  parseManifest,
  requireDigest,
  requirePlatform,
  toLayers,
} from "./oci.ts";

/** An image whose parts lie on this host's disk. */
export interface OciImage {
  /** Of its manifest; of its configuration where there is none that has a digest. */
  digest: string;
  config: OciConfig;
  layers: Layer[];
}

/** Finds the part with a digest; undefined when it is missing. */
type FindBlob = (digest: string) => Promise<FilePart | undefined>;

const REF_NAME = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME = "io.containerd.image.name";
const MAX_INDEX_DEPTH = 4;

/** An image in an OCI layout that skopeo has made: one manifest, named by its digest. */
export async function readLayout(folder: string, platform: Platform): Promise<OciImage> {
  const part = async (...names: string[]): Promise<FilePart | undefined> => {
    const file = path.join(folder, ...names);
    const found = await stat(file).catch(() => undefined);
    return found?.isFile() ? { file, offset: 0, sizeBytes: found.size } : undefined;
  };
  const index = await part("index.json");
  if (index === undefined) throw malformed("it has no index.json");
  const manifests = parseIndex(await readWholePart(index, MAX_MANIFEST_BYTES));
  return readImage(manifests, (digest) => part("blobs", "sha256", digest.slice("sha256:".length)), platform);
}

/** The image of an OCI archive that `reference` names, or the only one. Throws IMAGE_INVALID, IMAGE_NOT_FOUND, IMAGE_PLATFORM_MISSING. */
export async function readOciArchive(
  parts: ReadonlyMap<string, FilePart>,
  reference: string | undefined,
  platform: Platform,
): Promise<OciImage> {
  const index = parts.get("index.json");
  if (index === undefined) throw malformed("it is no OCI archive: it has no index.json");
  const all = parseIndex(await readWholePart(index, MAX_MANIFEST_BYTES));
  const names = (entry: Descriptor) => [entry.annotations?.[REF_NAME], entry.annotations?.[CONTAINERD_NAME]];
  const wanted =
    reference === undefined
      ? all
      : all.filter((entry) => names(entry).includes(reference) || entry.digest === reference);
  if (wanted.length === 0) throw noSuchImage(reference, all.flatMap(names));
  return readImage(
    wanted,
    async (digest) => parts.get(`blobs/sha256/${digest.slice("sha256:".length)}`),
    platform,
    reference,
  );
}

async function readImage(
  manifests: Descriptor[],
  findBlob: FindBlob,
  platform: Platform,
  reference?: string,
): Promise<OciImage> {
  const readBlob = async (digest: string) =>
    requireDigest(await readWholePart(await need(findBlob, digest), MAX_MANIFEST_BYTES), digest);
  let candidates = manifests;
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
    if (candidates.length > 1 && candidates.every((entry) => !entry.platform)) {
      const names = candidates.map((entry) => entry.annotations?.[REF_NAME] ?? entry.digest);
      throw severalImages(reference, names);
    }
    const chosen = candidates.length === 1 ? (candidates[0] as Descriptor) : choosePlatform(candidates, platform);
    const bytes = await readBlob(chosen.digest);
    if (isIndex(bytes)) {
      candidates = parseIndex(bytes);
      if (candidates.length === 0) throw malformed("its index is empty");
      continue;
    }
    const manifest = parseManifest(bytes);
    const config = parseConfig(await readBlob(manifest.config.digest));
    requirePlatform(config, platform);
    return { digest: chosen.digest, config, layers: await findLayers(manifest, config, findBlob) };
  }
  throw malformed("its indexes are nested too deep");
}

async function findLayers(manifest: OciManifest, config: OciConfig, findBlob: FindBlob): Promise<Layer[]> {
  const found = new Map<string, FilePart>();
  for (const { digest } of manifest.layers) found.set(digest, await need(findBlob, digest));
  return toLayers(manifest, config, (digest) => toLayer(found.get(digest) as FilePart));
}

async function need(findBlob: FindBlob, digest: string): Promise<FilePart> {
  const part = await findBlob(digest);
  if (part === undefined) throw malformed(`${digest} is missing`);
  return part;
}

function toLayer(part: FilePart): Pick<Layer, "open" | "sizeBytes"> {
  return { open: () => readPart(part), sizeBytes: part.sizeBytes };
}

/** manifest.json of 'docker save'. */
const dockerManifestSchema = z
  .array(
    z.object({
      Config: z.string().max(1000),
      RepoTags: z.array(z.string().max(1000)).nullish(),
      Layers: z.array(z.string().max(1000)).max(1000),
    }),
  )
  .min(1)
  .max(10_000);

/** The image of an archive of 'docker save' that `reference` names, or the only one. */
export async function readDockerArchive(
  parts: ReadonlyMap<string, FilePart>,
  reference: string | undefined,
  platform: Platform,
): Promise<OciImage> {
  const list = parts.get("manifest.json");
  if (list === undefined) throw malformed("it is no archive of 'docker save': it has no manifest.json");
  let all: z.output<typeof dockerManifestSchema>;
  try {
    all = dockerManifestSchema.parse(JSON.parse((await readWholePart(list, MAX_MANIFEST_BYTES)).toString("utf8")));
  } catch (error) {
    if (error instanceof FirebreakError) throw error;
    throw malformed("its manifest.json is malformed");
  }
  const wanted = reference === undefined ? all : all.filter((entry) => entry.RepoTags?.includes(reference));
  const tags = all.flatMap((entry) => entry.RepoTags ?? []);
  if (wanted.length === 0) throw noSuchImage(reference, tags);
  if (wanted.length > 1) throw severalImages(reference, tags);
  const { Config, Layers } = wanted[0] as (typeof all)[number];
  const configPart = parts.get(Config);
  if (configPart === undefined) throw malformed(`${JSON.stringify(Config)} is missing`);
  const bytes = await readWholePart(configPart, MAX_MANIFEST_BYTES);
  const config = parseConfig(bytes);
  requirePlatform(config, platform);
  if (config.rootfs.diff_ids.length !== Layers.length) throw malformed("its layers are not those of its configuration");
  const layers = Layers.map((name, index) => {
    const part = parts.get(name);
    if (part === undefined) throw malformed(`${JSON.stringify(name)} is missing`);
    return { ...toLayer(part), diffId: config.rootfs.diff_ids[index] as string };
  });
  return { digest: digestOf(bytes), config, layers };
}

function noSuchImage(reference: string | undefined, names: (string | undefined)[]): FirebreakError {
  const there = [...new Set(names.filter((name) => name !== undefined))].slice(0, 20);
  return new FirebreakError("IMAGE_NOT_FOUND", `the archive has no image ${JSON.stringify(reference ?? "")}`, {
    hint: there.length === 0 ? "None in it has a name." : `There are: ${there.join(", ")}.`,
  });
}

function severalImages(reference: string | undefined, names: string[]): FirebreakError {
  const what =
    reference === undefined
      ? "the archive holds several images"
      : `several images are called ${JSON.stringify(reference)}`;
  return new FirebreakError("INVALID_ARGUMENT", what, {
    hint: `Say which, behind a colon: ${[...new Set(names)].slice(0, 20).join(", ")}.`,
  });
}
