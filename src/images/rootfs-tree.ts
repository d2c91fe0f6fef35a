import { invalidArchive, showText } from "../archive/tar-format.ts";
import type { TarEntry } from "./tar-reader.ts";

/** Where a file's content is: the how-manieth member of the how-manieth layer. */
export interface ContentPlace {
  layer: number;
  ordinal: number;
}

/** Something in a root file system; a file with several hard links is one node under several names. */
export interface TreeNode {
  entry: Omit<TarEntry, "path" | "offset">;
  content?: ContentPlace;
  /** Of a directory. */
  children?: Map<string, TreeNode>;
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** As the kernel has it (path_resolution(7)). */
const MAX_LINKS = 40;
const MAX_NAME_BYTES = 255;
const MAX_DEPTH = 1024;
/** Names in the root, with their modes where they have to be made. */
const SYSTEM_DIRECTORIES: [name: string, mode: number][] = [
  ["dev", 0o755],
  ["proc", 0o555],
  ["sys", 0o555],
  ["etc", 0o755],
  ["run", 0o755],
  ["tmp", 0o1777],
  ["root", 0o700],
];
const MOUNT_POINTS: ReadonlySet<string> = new Set(["dev", "proc", "sys"]);
const STRICT_DIRECTORIES: ReadonlySet<string> = new Set([...MOUNT_POINTS, "etc"]);
/** What a guest may be given: the rest is the host's or another overlay's business. */
const KEPT_XATTR = /^(security\.capability|user\..{1,200})$/s;
/** What squashfs can say: an unsigned 32-bit number of seconds. */
const MAX_MTIME_SECONDS = 0xffff_ffff;

/**
 * A root file system that layers are laid over one another in, without any file being made: links are followed within it only, so that
 * nothing that an archive says can lead out of it.
 */
export class RootfsTree {
  readonly root: TreeNode = newDirectory();
  #layers = 0;

  /**
   * Lays the members of one archive over what is there. With `hasWhiteouts` (a layer of an OCI image) names that begin with ".wh." take
   * away what lower layers had, whatever the order of the members; in any other archive they are names. Throws ARCHIVE_INVALID.
   */
  addLayer(entries: readonly TarEntry[], hasWhiteouts: boolean): void {
    const layer = this.#layers++;
    const isWhiteout = (name: string) => hasWhiteouts && name.startsWith(WHITEOUT);
    const named = entries.map((entry, ordinal) => ({ entry, ordinal, names: splitPath(entry.path) }));
    for (const { names } of named) if (isWhiteout(names.at(-1) ?? "")) this.#takeAway(names);
    for (const { entry, ordinal, names } of named) {
      if (!names.some(isWhiteout)) this.#add(entry, names, { layer, ordinal });
    }
  }

  #takeAway(names: string[]): void {
    const name = names.at(-1) as string;
    const parent = this.#findDirectory(names.slice(0, -1));
    if (parent?.children === undefined) return;
    if (name === OPAQUE) parent.children.clear();
    // Others with the prefix twice are notes of the file system that the layer was made with.
    else if (!name.startsWith(`${WHITEOUT}${WHITEOUT}`)) parent.children.delete(name.slice(WHITEOUT.length));
  }

  #add(entry: TarEntry, names: string[], content: ContentPlace): void {
    const name = names.at(-1);
    if (name === undefined) {
      if (entry.type !== "directory") throw invalidArchive(`its root is a ${entry.type}`);
      this.root.entry = toNodeEntry(entry);
      return;
    }
    const parent = this.#makeDirectory(names.slice(0, -1), entry.path);
    const children = parent.children as Map<string, TreeNode>;
    if (entry.type === "link") {
      const target = this.#find(splitPath(entry.linkTarget));
      if (target === undefined || target.children !== undefined)
        throw invalidArchive(
          `${showText(entry.path)} is a hard link to ${showText(entry.linkTarget)}, which is no file in it`,
        );
      children.set(name, target);
      return;
    }
    const existing = children.get(name);
    if (entry.type === "directory") {
      if (existing?.children !== undefined) existing.entry = toNodeEntry(entry);
      else children.set(name, { entry: toNodeEntry(entry), children: new Map() });
      return;
    }
    children.set(name, { entry: toNodeEntry(entry), ...(entry.type === "file" ? { content } : {}) });
  }

  /**
   * Gives the root what the guest agent needs of any: places to mount at, which are emptied, and directories that a system without them
   * would be missed in. Throws ARCHIVE_INVALID when something else is in their place.
   */
  addSystemDirectories(): void {
    const children = this.root.children as Map<string, TreeNode>;
    for (const [name, mode] of SYSTEM_DIRECTORIES) {
      const existing = children.get(name);
      if (existing === undefined) children.set(name, newDirectory(mode));
      else if (existing.children === undefined && STRICT_DIRECTORIES.has(name))
        throw invalidArchive(`its /${name} is a ${existing.entry.type}; it has to be a directory`);
      else if (MOUNT_POINTS.has(name)) existing.children?.clear();
    }
  }

  /** What a path names, links in its folders followed, not one at its end. */
  #find(names: string[]): TreeNode | undefined {
    if (names.length === 0) return this.root;
    const parent = this.#findDirectory(names.slice(0, -1));
    return parent?.children?.get(names.at(-1) as string);
  }

  #findDirectory(names: string[]): TreeNode | undefined {
    return this.#walk(names, () => undefined);
  }

  #makeDirectory(names: string[], forPath: string): TreeNode {
    const found = this.#walk(names, (parent, name, existing) => {
      if (existing !== undefined) throw invalidArchive(`${showText(forPath)} is below a ${existing.entry.type}`);
      const made = newDirectory();
      parent.children?.set(name, made);
      return made;
    });
    if (found === undefined) throw invalidArchive(`${showText(forPath)} is below links that lead in a circle`);
    return found;
  }

  /** Follows a path to a directory; `onMissing` may make what is not there or is none. */
  #walk(
    names: string[],
    onMissing: (parent: TreeNode, name: string, existing: TreeNode | undefined) => TreeNode | undefined,
  ): TreeNode | undefined {
    const stack: TreeNode[] = [this.root];
    const pending = [...names].reverse();
    let links = 0;
    while (pending.length > 0) {
      const name = pending.pop() as string;
      const current = stack.at(-1) as TreeNode;
      // Above the root is the root.
      if (name === "..") {
        if (stack.length > 1) stack.pop();
        continue;
      }
      let child = current.children?.get(name);
      if (child?.entry.type === "symlink") {
        if (++links > MAX_LINKS) return undefined;
        const target = child.entry.linkTarget;
        if (target.startsWith("/")) stack.length = 1;
        pending.push(...linkNames(target).reverse());
        if (pending.length > MAX_DEPTH * 4) return undefined;
        continue;
      }
      if (child?.children === undefined) child = onMissing(current, name, child);
      if (child === undefined) return undefined;
      stack.push(child);
    }
    return stack.at(-1);
  }
}

function linkNames(target: string): string[] {
  return target.split("/").filter((name) => name !== "" && name !== ".");
}

/** A member's path by its names. A leading '/' is the root that is being made; '..' is nothing that an honest archive has. */
function splitPath(path: string): string[] {
  const names = linkNames(path);
  for (const name of names) {
    if (name === "..") throw invalidArchive(`${showText(path)} has '..' in it`);
    if (name.length > MAX_NAME_BYTES)
      throw invalidArchive(`a name in ${showText(path)} has more than ${MAX_NAME_BYTES} bytes`);
  }
  if (names.length > MAX_DEPTH) throw invalidArchive(`${showText(path)} is more than ${MAX_DEPTH} directories deep`);
  return names;
}

function newDirectory(mode = 0o755): TreeNode {
  const entry: TreeNode["entry"] = {
    ...{ type: "directory", linkTarget: "", sizeBytes: 0, mode, uid: 0, gid: 0 },
    ...{ mtimeSeconds: 0, deviceMajor: 0, deviceMinor: 0, xattrs: new Map() },
  };
  return { entry, children: new Map() };
}

function toNodeEntry({ path: _path, offset: _offset, ...entry }: TarEntry): TreeNode["entry"] {
  const kept = [...entry.xattrs].filter(([name]) => KEPT_XATTR.test(name));
  const xattrs = kept.length === entry.xattrs.size ? entry.xattrs : new Map(kept);
  const mtimeSeconds = Math.min(Math.max(entry.mtimeSeconds, 0), MAX_MTIME_SECONDS);
  return { ...entry, xattrs, mtimeSeconds };
}
