import { chmod, mkdir, open, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { hashFile } from "./digest.ts";
import { checkImageName, digestFolder } from "./names.ts";
import {
  findImage,
  type Image,
  type ImageManifest,
  identifyImage,
  tagImage,
  verifyImage,
  withStoreLock,
} from "./store.ts";
import { removeTree } from "./work-dir.ts";

/** A finished root filesystem in a work folder, and what is to be known of it. */
export interface NewImage
  extends Pick<
    ImageManifest,
    "format" | "arch" | "recipe" | "recipeDigest" | "packageCount" | "env" | "config" | "source"
  > {
  rootfsPath: string;
  /** Names of files in the work folder that are kept beside it. */
  extraFiles?: string[];
}

/**
 * Makes a root filesystem an image of a name. It appears by one rename, and the name by another: a process that is killed leaves the image
 * that the name had, or the new one. The same content again, if it is whole, stays where it is, since VMs may use it.
 */
export async function storeImage(paths: FirebreakPaths, work: string, name: string, given: NewImage): Promise<Image> {
  checkImageName(name);
  const { rootfsPath, extraFiles = [], ...facts } = given;
  const rootfsDigest = `sha256:${await hashFile(rootfsPath)}`;
  const hasConfig = facts.config !== undefined;
  const digest = hasConfig ? identifyImage({ ...facts, rootfsDigest }) : rootfsDigest;
  const finished = path.join(work, "image");
  await mkdir(finished);
  const place = path.join(finished, `rootfs.${facts.format}`);
  await rename(rootfsPath, place);
  await chmod(place, 0o444);
  await sync(place);
  const { size, mtimeMs } = await stat(place);
  const manifest: ImageManifest = {
    digest,
    ...(hasConfig ? { rootfsDigest } : {}),
    name,
    createdAt: new Date().toISOString(),
    sizeBytes: size,
    mtimeMs,
    ...facts,
  };
  for (const file of extraFiles) await rename(path.join(work, file), path.join(finished, file));
  await writeFile(path.join(finished, "image.json"), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
  return withStoreLock(paths, async () => {
    const folder = path.join(paths.images, digestFolder(digest));
    const existing = await findImage(paths, digest);
    const isWhole =
      existing !== undefined &&
      (await verifyImage(existing, { deep: true }).then(
        () => true,
        () => false,
      ));
    if (!isWhole) {
      await removeTree(folder);
      await rename(finished, folder);
    }
    await tagImage(paths, digest, name);
    const image = await findImage(paths, digest);
    if (image === undefined) throw new FirebreakError("INTERNAL", `image ${digest} vanished while it was stored`);
    return image;
  });
}

/** On the disk before its name is: a host that loses power must not keep the name of half a file. */
async function sync(file: string): Promise<void> {
  const handle = await open(file, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
