import { stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { buildDebianRootfs } from "./debian.ts";
import { DEBIAN_RECIPE, type DebianRecipe } from "./debian-recipe.ts";
import { hashText } from "./digest.ts";
import { withLock } from "./lock.ts";
import { checkImageName } from "./names.ts";
import type { ImageOptions } from "./progress.ts";
import { findImage, type Image, verifyImage } from "./store.ts";
import { storeImage } from "./store-image.ts";
import { withWorkDir } from "./work-dir.ts";

export interface BuildOptions extends ImageOptions {
  /** Build even when the image is up to date. */
  force?: boolean;
  /** Another recipe than the built-in one of that name. */
  recipe?: DebianRecipe;
}

export interface BuildResult {
  image: Image;
  /** False when the image was up to date (or another process built it meanwhile) and nothing was done. */
  built: boolean;
  durationMs: number;
}

/** The recipes that come with firebreak, by image name. */
const BUILT_IN_RECIPES = new Map<string, DebianRecipe>([["debian", DEBIAN_RECIPE]]);

export function listRecipes(): string[] {
  return [...BUILT_IN_RECIPES.keys()];
}

/**
 * Builds an image from a built-in recipe, unless the image of that name is up to date. Builds of one name happen one at a
 * time, over all processes; whoever waited for another's build uses it. Throws IMAGE_NOT_FOUND for an unknown recipe,
 * IMAGE_BUILD_FAILED, TOOL_NOT_FOUND, HOST_DISK_FULL or OPERATION_CANCELED; then nothing has changed.
 */
export async function buildImage(
  paths: FirebreakPaths,
  name: string,
  options: BuildOptions = {},
): Promise<BuildResult> {
  const startedMs = Date.now();
  checkImageName(name);
  const recipe = options.recipe ?? BUILT_IN_RECIPES.get(name);
  if (recipe === undefined) {
    throw new FirebreakError("IMAGE_NOT_FOUND", `there is no recipe for an image called ${JSON.stringify(name)}`, {
      hint: `Built-in recipes: ${listRecipes().join(", ")}.`,
    });
  }
  const recipeDigest = `sha256:${hashText(JSON.stringify(recipe))}`;
  const result = (image: Image, built: boolean): BuildResult => {
    if (!built) options.onProgress?.({ step: "done", message: `image ${name} is up to date`, fraction: 1 });
    return { image, built, durationMs: Date.now() - startedMs };
  };
  const current = options.force === true ? undefined : await findUpToDate(paths, name, recipeDigest);
  if (current !== undefined) return result(current, false);

  const onWait = (pid: number) =>
    options.onProgress?.({ step: "wait", message: `waiting for process ${pid}, which builds image ${name}` });
  const lockOptions = { onWait, ...(options.signal && { signal: options.signal }) };
  try {
    return await withLock(path.join(paths.images, ".locks", `${name}.lock`), lockOptions, async () => {
      const other = await findUpToDate(paths, name, recipeDigest);
      // With `force` an older image will not do, but one that was finished while we waited will.
      const isFresh = other !== undefined && (options.force !== true || Date.parse(other.createdAt) >= startedMs);
      if (other !== undefined && isFresh) return result(other, false);
      const image = await withWorkDir(paths.images, (work) =>
        build(paths, work, { name, recipe, recipeDigest }, options),
      );
      options.onProgress?.({ step: "done", message: `image ${name} is ready`, fraction: 1 });
      return result(image, true);
    });
  } catch (error) {
    throw translate(error, name);
  }
}

interface BuildTarget {
  name: string;
  recipe: DebianRecipe;
  recipeDigest: string;
}

async function build(paths: FirebreakPaths, work: string, target: BuildTarget, options: ImageOptions): Promise<Image> {
  const built = await buildDebianRootfs(work, target.recipe, options);
  options.onProgress?.({ step: "store", message: "storing the image" });
  await writeFile(path.join(work, "packages.json"), `${JSON.stringify(built.packages, null, 2)}\n`);
  return storeImage(paths, work, target.name, {
    rootfsPath: built.rootfsPath,
    format: built.format,
    arch: target.recipe.arch,
    recipe: target.recipe.kind,
    recipeDigest: target.recipeDigest,
    packageCount: Object.keys(built.packages).length,
    env: target.recipe.env,
    extraFiles: ["packages.json"],
  });
}

/** The image of that name when it was built from the same recipe and its file is as it was left. */
async function findUpToDate(paths: FirebreakPaths, name: string, recipeDigest: string): Promise<Image | undefined> {
  const image = await findImage(paths, name);
  if (image === undefined || image.recipeDigest !== recipeDigest) return undefined;
  const found = await stat(image.rootfsPath).catch(() => undefined);
  if (found?.size !== image.sizeBytes) return undefined;
  if (found.mtimeMs === image.mtimeMs) return image;
  // Another time may mean another content, or merely a copied folder: only the content tells.
  const isIntact = await verifyImage(image, { deep: true }).then(
    () => true,
    () => false,
  );
  if (!isIntact) return undefined;
  await utimes(image.rootfsPath, found.atime, image.mtimeMs / 1000).catch(() => undefined);
  return image;
}

function translate(thrown: unknown, name: string): FirebreakError {
  const error = toFirebreakError(thrown);
  if (error.code !== "TOOL_FAILED") return error;
  return new FirebreakError("IMAGE_BUILD_FAILED", `image ${name} could not be built: ${error.message}`, {
    cause: error,
    hint: "Check that the Debian mirror and the npm registry can be reached; FIREBREAK_DEBIAN_MIRROR names another mirror.",
  });
}
