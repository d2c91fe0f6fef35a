/** What a resource's URI names. */
export type ResourceAddress =
  | { kind: "vms" }
  | { kind: "vm"; vm: string }
  | { kind: "console"; vm: string; page: Page }
  | { kind: "file"; vm: string; path: string; page: Page }
  | { kind: "output"; vm: string; exec: string; page: Page }
  | { kind: "snapshots" }
  | { kind: "snapshot"; snapshot: string }
  | { kind: "artifacts" }
  | { kind: "artifact"; artifact: string; page: Page };

/** Which part of a long resource is meant; without an offset a log's end is, and a file's beginning. */
export interface Page {
  offset?: number;
  length: number;
}

export const DEFAULT_PAGE_BYTES = 64 * 1024;
export const MAX_PAGE_BYTES = 1024 * 1024;
/** Longer ones name nothing. */
const MAX_URI_LENGTH = 16 * 1024;

export const VMS_URI = "firebreak://vms";
export const SNAPSHOTS_URI = "firebreak://snapshots";
export const ARTIFACTS_URI = "firebreak://artifacts";
export const vmUri = (vm: string) => `${VMS_URI}/${encodeURIComponent(vm)}`;
export const consoleUri = (vm: string) => `${vmUri(vm)}/console`;
export const fileUri = (vm: string, path: string) =>
  `${vmUri(vm)}/files/${path.slice(1).split("/").map(encodeURIComponent).join("/")}`;
export const outputUri = (vm: string, exec: string) => `${vmUri(vm)}/execs/${encodeURIComponent(exec)}/output`;
export const snapshotUri = (snapshot: string) => `${SNAPSHOTS_URI}/${encodeURIComponent(snapshot)}`;
export const artifactUri = (artifact: string) => `${ARTIFACTS_URI}/${encodeURIComponent(artifact)}`;

/** What a URI names, or undefined when it is none of ours. Dots in a path (`..`) lead nowhere else: paths are the guest's own. */
export function parseUri(uri: string): ResourceAddress | undefined {
  if (uri.length > MAX_URI_LENGTH) return undefined;
  const match = /^firebreak:\/\/([^?#]*)(?:\?([^#]*))?$/.exec(uri);
  if (match === null) return undefined;
  const words = decodeWords((match[1] ?? "").split("/"));
  const page = parsePage(match[2]);
  if (words === undefined || page === undefined) return undefined;
  return addressOf(words, page, match[2] !== undefined);
}

function addressOf(words: string[], page: Page, hasQuery: boolean): ResourceAddress | undefined {
  const [noun, name, part, ...rest] = words;
  if (name === "") return undefined;
  if (noun === "vms" && name !== undefined && part !== undefined) {
    if (part === "console" && rest.length === 0) return { kind: "console", vm: name, page };
    if (part === "files") return { kind: "file", vm: name, path: `/${rest.join("/")}`, page };
    const [exec, what] = rest;
    if (part === "execs" && exec && what === "output" && rest.length === 2)
      return { kind: "output", vm: name, exec, page };
    return undefined;
  }
  if (noun === "artifacts" && name !== undefined && part === undefined)
    return { kind: "artifact", artifact: name, page };
  if (hasQuery || part !== undefined) return undefined;
  if (noun === "artifacts") return { kind: "artifacts" };
  if (noun === "vms") return name === undefined ? { kind: "vms" } : { kind: "vm", vm: name };
  if (noun === "snapshots") return name === undefined ? { kind: "snapshots" } : { kind: "snapshot", snapshot: name };
  return undefined;
}

/** The words decoded; undefined when one is malformed, or holds what no name or path has. */
function decodeWords(words: string[]): string[] | undefined {
  try {
    const decoded = words.map(decodeURIComponent);
    return decoded.some((word) => word.includes("\0") || word.includes("/")) ? undefined : decoded;
  } catch {
    return undefined;
  }
}

function parsePage(query: string | undefined): Page | undefined {
  const page: Page = { length: DEFAULT_PAGE_BYTES };
  for (const [key, value] of new URLSearchParams(query ?? "")) {
    if ((key !== "offset" && key !== "length") || !/^\d{1,15}$/.test(value)) return undefined;
    page[key] = Number(value);
  }
  return page.length < 4 || page.length > MAX_PAGE_BYTES ? undefined : page;
}
