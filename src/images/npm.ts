import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { matchesIntegrity } from "./digest.ts";
import { runTool } from "./tools.ts";

/** An npm package of one version with the one content it may have. */
export interface PinnedNpmPackage {
  name: string;
  version: string;
  /** Subresource Integrity, as in npm's `dist.integrity`. */
  integrity: string;
}

/**
 * Fetches a package's archive into `folder` with the user's npm, hence from the user's registry, and returns its path.
 * `npm pack` runs no script of the package. What arrives must match the pinned integrity, whatever the registry says of
 * it. Throws IMAGE_BUILD_FAILED when it does not.
 */
export async function fetchNpmPackage(
  wanted: PinnedNpmPackage,
  folder: string,
  options: { env: NodeJS.ProcessEnv; signal?: AbortSignal },
): Promise<string> {
  const args = [
    "pack",
    `${wanted.name}@${wanted.version}`,
    "--pack-destination",
    folder,
    "--ignore-scripts",
    "--silent",
  ];
  // The folder has no package.json, so no project's .npmrc changes what is fetched.
  await runTool("npm", args, { cwd: folder, env: options.env, ...(options.signal && { signal: options.signal }) });
  const prefix = wanted.name.replace(/^@/, "").replace("/", "-");
  const name = (await readdir(folder)).find((entry) => entry === `${prefix}-${wanted.version}.tgz`);
  if (name === undefined) throw new FirebreakError("IMAGE_BUILD_FAILED", `npm fetched no archive of ${wanted.name}`);
  const file = path.join(folder, name);
  await checkNpmArchive(wanted, file);
  return file;
}

/** Removes the archive and throws IMAGE_BUILD_FAILED when it is not the pinned content. */
export async function checkNpmArchive(wanted: PinnedNpmPackage, file: string): Promise<void> {
  if (await matchesIntegrity(file, wanted.integrity)) return;
  await rm(file, { force: true });
  throw new FirebreakError(
    "IMAGE_BUILD_FAILED",
    `${wanted.name}@${wanted.version} does not match its pinned integrity; it was not used`,
    {
      hint: "The npm registry or its mirror serves another content than it published; check 'npm config get registry'.",
    },
  );
}
