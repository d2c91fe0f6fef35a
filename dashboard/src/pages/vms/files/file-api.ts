import { fetchApi, request } from "../../../api/client.ts";
import { vmPath } from "../api.ts";

/** An entry of GET /v1/vms/VM/dir. */
export interface DirEntry {
  name: string;
  /** Absent for a name that is UTF-8. Others have no path that could be asked for. */
  nameBase64?: string | null;
  path: string;
  type: "file" | "directory" | "symlink" | "other";
  sizeBytes: number;
  mode: string;
  uid: number;
  gid: number;
  mtimeMs: number;
  target?: string | null;
}
export interface DirPage {
  entries: DirEntry[];
  more: boolean;
}

/** How much of a file is looked at here; all of it can be downloaded. */
export const MAX_VIEW_BYTES = 512 * 1024;
const MAX_IMAGE_BYTES = 8 * 1024 * 1024;

export type FileView =
  | { kind: "text"; text: string; isCut: boolean }
  | { kind: "image"; blob: Blob }
  | { kind: "binary"; firstBytes: Uint8Array };

/** The path of a name in a folder. */
export const joinPath = (folder: string, name: string): string => (folder === "/" ? `/${name}` : `${folder}/${name}`);

export const filePath = (vm: string, path: string): string => vmPath(vm, `/file?path=${encodeURIComponent(path)}`);
export const archivePath = (vm: string, path: string): string =>
  vmPath(vm, `/archive?path=${encodeURIComponent(path)}`);

/** Looks at a file: as text where it is some, as an image where a browser shows it without running anything. Throws ApiError. */
export async function viewFile(vm: string, { path, sizeBytes }: DirEntry): Promise<FileView> {
  const read = async (length: number) =>
    new Uint8Array(await (await fetchApi("GET", vmPath(vm, "/file"), { query: { path, length } })).arrayBuffer());
  const bytes = await read(MAX_VIEW_BYTES);
  const type = imageTypeOf(bytes);
  if (type !== undefined && sizeBytes <= MAX_IMAGE_BYTES) {
    const whole = sizeBytes > MAX_VIEW_BYTES ? await read(MAX_IMAGE_BYTES) : bytes;
    return { kind: "image", blob: new Blob([whole as BlobPart], { type }) };
  }
  const isCut = bytes.length === MAX_VIEW_BYTES;
  const text = decode(bytes, isCut);
  return text === undefined ? { kind: "binary", firstBytes: bytes.subarray(0, 512) } : { kind: "text", text, isCut };
}

export function uploadFile(vm: string, folder: string, file: File): Promise<unknown> {
  return request("PUT", vmPath(vm, "/file"), { query: { path: joinPath(folder, file.name) }, bytes: file });
}

export function makeFolder(vm: string, path: string): Promise<unknown> {
  return request("POST", vmPath(vm, "/dir"), { query: { path } });
}

export function removePath(vm: string, path: string): Promise<unknown> {
  return request("DELETE", vmPath(vm, "/file"), { query: { path, recursive: true } });
}

/** Undefined for what is no text. */
function decode(bytes: Uint8Array, isCut: boolean): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    // A character at the cut may be half.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut });
  } catch {
    return undefined;
  }
}

/** By the bytes, not by the name. SVG is no image here: it is a document. */
export function imageTypeOf(bytes: Uint8Array): string | undefined {
  const starts = (...wanted: number[]) => wanted.every((byte, index) => bytes[index] === byte);
  if (starts(0x89, 0x50, 0x4e, 0x47)) return "image/png";
  if (starts(0xff, 0xd8, 0xff)) return "image/jpeg";
  if (starts(0x47, 0x49, 0x46, 0x38)) return "image/gif";
  if (starts(0x52, 0x49, 0x46, 0x46) && bytes[8] === 0x57 && bytes[9] === 0x45) return "image/webp";
  return undefined;
}
