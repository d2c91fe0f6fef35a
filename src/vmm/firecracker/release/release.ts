import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { FirebreakError } from "../../../errors/firebreak-error.ts";

/** A release of Firecracker that `firebreak setup` has installed. */
export interface FirecrackerRelease {
  /** Without a leading "v". */
  version: string;
  /** Absolute paths. */
  firecracker: string;
  /** A bare `firecracker` may have been installed without one. */
  jailer?: string;
  /** SHA-256 of each, in hex, as they were verified when they were installed. */
  digests: { firecracker: string; jailer?: string };
}

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);
const manifestSchema = z.object({
  version: z.string(),
  arch: z.string(),
  /** The archive's, or the program's, name or address: for people. */
  source: z.string(),
  installedAt: z.string(),
  digests: z.object({ firecracker: digestSchema, jailer: digestSchema.optional() }),
});

/** What stands in `release.json` beside the programs. */
export type ReleaseManifest = z.infer<typeof manifestSchema>;

/** Names below FIREBREAK_HOME: `firecracker/VERSION/{firecracker,jailer,release.json}`, and `firecracker/current`, which says which version is in use. */
export const RELEASE_FILES = { folder: "firecracker", current: "current", manifest: "release.json" } as const;

/** As `firecracker --version` says it; also the name of a folder, so nothing else may be in it. */
export const VERSION_PATTERN = /^\d{1,4}\.\d{1,4}\.\d{1,6}(-[\w.-]{1,40})?$/;

const HINT = "Install it again: firebreak setup --firecracker FILE";

/** The release in use of a FIREBREAK_HOME; undefined where none was installed. Throws VMM_ALTERED where what was installed is not whole. */
export async function findRelease(home: string): Promise<FirecrackerRelease | undefined> {
  const root = path.join(home, RELEASE_FILES.folder);
  const current = await readFile(path.join(root, RELEASE_FILES.current), "utf8").catch(() => undefined);
  if (current === undefined) return undefined;
  const version = current.trim();
  const folder = path.join(root, version);
  const manifest = VERSION_PATTERN.test(version) ? await readManifest(folder) : undefined;
  if (manifest?.version !== version) {
    throw new FirebreakError("VMM_ALTERED", `the Firecracker that is installed in ${root} is not whole`, {
      hint: HINT,
    });
  }
  return releaseIn(folder, manifest);
}

/** What a folder's manifest says that there is in it. Pure. */
export function releaseIn(folder: string, { version, digests }: ReleaseManifest): FirecrackerRelease {
  return {
    version,
    firecracker: path.join(folder, "firecracker"),
    ...(digests.jailer !== undefined && { jailer: path.join(folder, "jailer") }),
    digests: { firecracker: digests.firecracker, ...(digests.jailer !== undefined && { jailer: digests.jailer }) },
  };
}

/** The manifest of a folder; undefined where there is none, or it is damaged. */
export async function readManifest(folder: string): Promise<ReleaseManifest | undefined> {
  const text = await readFile(path.join(folder, RELEASE_FILES.manifest), "utf8").catch(() => "");
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Compares both programs with what was verified when they were installed. Throws VMM_ALTERED, which names the one that differs. */
export async function checkDigests(release: FirecrackerRelease): Promise<void> {
  const { firecracker, jailer, digests } = release;
  await checkDigest(firecracker, digests.firecracker);
  if (jailer !== undefined && digests.jailer !== undefined) await checkDigest(jailer, digests.jailer);
}

async function checkDigest(file: string, expected: string): Promise<void> {
  const found = await digestProgram(file).catch((cause: unknown) => {
    throw new FirebreakError("VMM_ALTERED", `${file} cannot be read`, { hint: HINT, cause });
  });
  if (found === expected) return;
  throw new FirebreakError("VMM_ALTERED", `${file} is not the program that was installed`, {
    hint: HINT,
    details: { file, expected, found },
  });
}

/** A link, whatever it leads to, is no program that was installed here. */
async function digestProgram(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return createHash("sha256")
      .update(await handle.readFile())
      .digest("hex");
  } finally {
    await handle.close();
  }
}
