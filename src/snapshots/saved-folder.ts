import { existsSync } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { removeFolder } from "../platform/remove-folder.ts";
import type { SavedMachine } from "../vmm/driver.ts";
import { type Manifest, manifestSchema } from "./manifest.ts";
import type { Disk } from "./ports.ts";

/** Files of a saved machine, in its folder. */
const MEMORY = "memory";
const STATE = "state";
const OVERLAY = "overlay.ext4";
const MANIFEST = "manifest.json";
/** An environment and a list of features fit into this many times over. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Folders that are not there yet, or not any more, begin so: a dead daemon's are removed by the next one. */
const STAGING = ".new-";
const LEAVING = ".gone-";

/** A saved machine that is whole as far as its manifest and its files' sizes tell. */
export interface Saved {
  manifest: Manifest;
  folder: string;
  machine: SavedMachine;
  overlayPath: string;
}

/** A folder under construction. */
export interface Staged {
  folder: string;
  memoryPath: string;
  statePath: string;
  overlayPath: string;
}

/** Saved machines below one folder. Each appears and disappears as a whole: by a rename. */
export class SavedFolder {
  readonly #root: string;
  readonly #disk: Disk;
  /** Overlays whose content has been compared with its digest, by path: what they looked like then. */
  readonly #verified = new Map<string, string>();

  constructor(root: string, disk: Disk) {
    this.#root = root;
    this.#disk = disk;
  }

  async stage(id: string): Promise<Staged> {
    const folder = path.join(this.#root, `${STAGING}${id}`);
    await removeFolder(folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return staged(folder);
  }

  /** Makes a staged folder the machine `id`, replacing an older one. */
  async commit(from: Staged, manifest: Manifest): Promise<Saved> {
    const file = path.join(from.folder, MANIFEST);
    await writeFile(file, JSON.stringify(manifest, null, 2), { mode: 0o600 });
    for (const name of [MEMORY, STATE, OVERLAY, MANIFEST]) await syncIfThere(path.join(from.folder, name));
    const folder = path.join(this.#root, manifest.id);
    await this.delete(manifest.id);
    await rename(from.folder, folder);
    const saved = toSaved(folder, manifest);
    if (manifest.overlay !== undefined) this.#verified.set(saved.overlayPath, await look(saved.overlayPath));
    return saved;
  }

  async discard(from: Staged): Promise<void> {
    await removeFolder(from.folder);
  }

  /** Undefined when there is none of that id. Throws SNAPSHOT_CORRUPT when it is not whole. */
  async get(id: string): Promise<Saved | undefined> {
    const folder = path.join(this.#root, id);
    const text = await readManifest(path.join(folder, MANIFEST));
    if (text === undefined) {
      if (!existsSync(folder)) return undefined;
      throw corrupt(folder, "it has no manifest");
    }
    const manifest = parseManifest(folder, text);
    if (manifest.id !== id) throw corrupt(folder, `its manifest is that of ${manifest.id}`, { name: manifest.name });
    const saved = toSaved(folder, manifest);
    await checkSize(saved, saved.machine.memoryPath, manifest.machine.memoryMib * 1024 * 1024);
    await checkSize(saved, saved.machine.statePath, manifest.state.sizeBytes);
    if (manifest.overlay !== undefined) await checkSize(saved, saved.overlayPath, manifest.overlay.sizeBytes);
    return saved;
  }

  /** All that are whole; what is not is passed to `onCorrupt`. */
  async list(onCorrupt: (id: string, error: FirebreakError) => void): Promise<Saved[]> {
    const names = await readdir(this.#root).catch(() => [] as string[]);
    const found: Saved[] = [];
    for (const name of names.filter((candidate) => !candidate.startsWith("."))) {
      try {
        const saved = await this.get(name);
        if (saved !== undefined) found.push(saved);
      } catch (error) {
        if (!(error instanceof FirebreakError)) throw error;
        onCorrupt(name, error);
      }
    }
    return found.sort((a, b) => a.manifest.createdAt.localeCompare(b.manifest.createdAt));
  }

  /** The most recently used first; using is touching the folder. */
  async sortByUse(all: Saved[]): Promise<Saved[]> {
    const used = await Promise.all(all.map(async (saved) => (await stat(saved.folder)).mtimeMs));
    return all
      .map((saved, index) => ({ saved, at: used[index] ?? 0 }))
      .sort((a, b) => b.at - a.at)
      .map(({ saved }) => saved);
  }

  /** Compares the drive with its digest; memory and state are compared by the driver when they are loaded. Once for as long as nobody touches it. */
  async verifyOverlay(saved: Saved): Promise<void> {
    const expected = saved.manifest.overlay;
    if (expected === undefined) throw corrupt(saved.folder, "nothing is known of its drive");
    const before = await look(saved.overlayPath);
    if (this.#verified.get(saved.overlayPath) === before) return;
    const { sha256 } = await this.#disk.digest(saved.overlayPath);
    if (sha256 !== expected.sha256) throw corrupt(saved.folder, "its drive is not what was saved", saved.manifest);
    this.#verified.set(saved.overlayPath, before);
  }

  async delete(id: string): Promise<void> {
    const folder = path.join(this.#root, path.basename(id));
    const leaving = path.join(this.#root, `${LEAVING}${path.basename(id)}`);
    await removeFolder(leaving);
    await rename(folder, leaving).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await removeFolder(leaving);
    this.#verified.delete(path.join(folder, OVERLAY));
  }

  /** Removes what a dead daemon left half made or half removed. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#root).catch(() => [] as string[])) {
      if (name.startsWith(STAGING) || name.startsWith(LEAVING)) await removeFolder(path.join(this.#root, name));
    }
  }
}

function staged(folder: string): Staged {
  return {
    folder,
    memoryPath: path.join(folder, MEMORY),
    statePath: path.join(folder, STATE),
    overlayPath: path.join(folder, OVERLAY),
  };
}

function toSaved(folder: string, manifest: Manifest): Saved {
  const files = staged(folder);
  return {
    manifest,
    folder,
    overlayPath: files.overlayPath,
    machine: {
      memoryPath: files.memoryPath,
      memorySha256: manifest.memory.sha256,
      statePath: files.statePath,
      stateSha256: manifest.state.sha256,
    },
  };
}

/** Undefined when there is none, or nothing that could be one: a pipe would never end, nor would some devices. */
async function readManifest(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined);
  if (found?.isFile() !== true || found.size > MAX_MANIFEST_BYTES) return undefined;
  return readFile(file, "utf8").catch(() => undefined);
}

function parseManifest(folder: string, text: string): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw corrupt(folder, "its manifest is not one that this firebreak knows", {}, error);
  }
}

async function checkSize(saved: Saved, file: string, sizeBytes: number): Promise<void> {
  // A link could lead anywhere, now or later; a pipe would be waited for.
  const found = await lstat(file).catch(() => undefined);
  if (found?.isFile() === true && found.size === sizeBytes) return;
  const why = `its ${path.basename(file)} has ${found?.size ?? "no"} bytes instead of ${sizeBytes}`;
  throw corrupt(saved.folder, why, saved.manifest);
}

function corrupt(folder: string, why: string, { name }: { name?: string | undefined } = {}, cause?: unknown) {
  const id = path.basename(folder);
  return new FirebreakError(
    "SNAPSHOT_CORRUPT",
    `${name === undefined ? id : `the snapshot '${name}'`} cannot be used: ${why}`,
    {
      hint:
        name === undefined
          ? "Delete it; a template is made anew by itself."
          : `Delete it: firebreak snapshot delete ${name}`,
      details: { folder, ...(name === undefined ? {} : { name }) },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

async function look(file: string): Promise<string> {
  const info = await stat(file, { bigint: true }).catch(() => undefined);
  return info === undefined ? "gone" : `${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}`;
}

async function syncIfThere(file: string): Promise<void> {
  const handle = await open(file, "r").catch(() => undefined);
  if (handle === undefined) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
