/** A directory's content as a sync sees it: names, permission bits and digests. */
export type TreeNode = TreeFile | TreeLink | TreeFolder;
export type TreeLeaf = TreeFile | TreeLink;

export interface TreeFile {
  type: "file";
  mode: number;
  sizeBytes: number;
  mtimeMs: number;
  sha256: string;
}

export interface TreeLink {
  type: "symlink";
  target: string;
}

export interface TreeFolder {
  type: "directory";
  mode: number;
  children: Map<string, TreeNode>;
}

export function emptyFolder(mode = 0o755): TreeFolder {
  return { type: "directory", mode, children: new Map() };
}

/** A file that its owner cannot read, or a directory that it cannot work in, could not be synced again. */
export function tidyMode(type: "file" | "directory", mode: number): number {
  return (mode & 0o777) | (type === "directory" ? 0o700 : 0o400);
}

/** Times are not compared: what counts is what is in a file. */
export function isSameNode(a: TreeNode | undefined, b: TreeNode | undefined): boolean {
  if (a === undefined || b === undefined || a.type !== b.type) return a === b;
  if (a.type === "file") return a.sha256 === (b as TreeFile).sha256 && a.mode === (b as TreeFile).mode;
  if (a.type === "symlink") return a.target === (b as TreeLink).target;
  const other = b as TreeFolder;
  if (a.mode !== other.mode || a.children.size !== other.children.size) return false;
  for (const [name, child] of a.children) if (!isSameNode(child, other.children.get(name))) return false;
  return true;
}

export function findNode(root: TreeFolder, path: string): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const name of path.split("/")) {
    if (node?.type !== "directory") return undefined;
    node = node.children.get(name);
  }
  return node;
}

/** The folder that a path lies in, made with what is missing above it; undefined when something else is in the way. */
export function folderFor(root: TreeFolder, path: string): { folder: TreeFolder; name: string } | undefined {
  const names = path.split("/");
  const name = names.pop() as string; // split gives at least one
  let folder = root;
  for (const part of names) {
    let next = folder.children.get(part);
    if (next === undefined) {
      next = emptyFolder();
      folder.children.set(part, next);
    }
    if (next.type !== "directory") return undefined;
    folder = next;
  }
  return { folder, name };
}

/** Every node below the root, folders before their content. */
export function* listNodes(root: TreeFolder, prefix = ""): Generator<[path: string, node: TreeNode]> {
  for (const [name, node] of root.children) {
    yield [`${prefix}${name}`, node];
    if (node.type === "directory") yield* listNodes(node, `${prefix}${name}/`);
  }
}

/** A tree without the paths that a sync does not see. */
export function withoutExcluded(
  root: TreeFolder,
  isExcluded: (path: string, isFolder: boolean) => boolean,
): TreeFolder {
  const strip = (folder: TreeFolder, prefix: string): TreeFolder => {
    const children = new Map<string, TreeNode>();
    for (const [name, node] of folder.children) {
      if (isExcluded(`${prefix}${name}`, node.type === "directory")) continue;
      children.set(name, node.type === "directory" ? strip(node, `${prefix}${name}/`) : node);
    }
    return { ...folder, children };
  };
  return strip(root, "");
}

type Flat = [path: string, node: TreeLeaf | { type: "directory"; mode: number }];

/** For JSON: a map whose keys a guest chooses is no object. */
export function flatten(root: TreeFolder): Flat[] {
  return [...listNodes(root)].map(([path, node]) => [
    path,
    node.type === "directory" ? { type: "directory", mode: node.mode } : node,
  ]);
}

export function unflatten(list: readonly Flat[]): TreeFolder {
  const root = emptyFolder();
  for (const [path, node] of list) {
    const place = folderFor(root, path);
    place?.folder.children.set(place.name, node.type === "directory" ? { ...node, children: new Map() } : { ...node });
  }
  return root;
}

/** Whether a path is a file of that content. */
export function hasContent(root: TreeFolder, name: string, sha256: string): boolean {
  const node = findNode(root, name);
  return node?.type === "file" && node.sha256 === sha256;
}

/** Puts a node at a path, or removes what is there; a path whose folder is not there is left alone. */
export function setNode(root: TreeFolder, name: string, node: TreeNode | undefined): void {
  const place = folderFor(root, name);
  if (node === undefined) place?.folder.children.delete(place.name);
  else place?.folder.children.set(place.name, node);
}
