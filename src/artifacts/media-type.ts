/** Types by the ending of a name; what is not here is text or bytes by what it holds. */
const TYPES: Record<string, string> = {
  css: "text/css",
  csv: "text/csv",
  gif: "image/gif",
  gz: "application/gzip",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript",
  json: "application/json",
  md: "text/markdown",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  tar: "application/x-tar",
  txt: "text/plain",
  webp: "image/webp",
  xml: "application/xml",
  zip: "application/zip",
  zst: "application/zstd",
};

/** Bytes at a file's start that are looked at. */
export const SNIFFED_BYTES = 4096;

export function guessMediaType(name: string, start: Uint8Array): string {
  const known = TYPES[/\.([a-z0-9]{1,8})$/i.exec(name)?.[1]?.toLowerCase() ?? ""];
  if (known !== undefined) return known;
  return isText(start) ? "text/plain" : "application/octet-stream";
}

function isText(start: Uint8Array): boolean {
  if (start.includes(0)) return false;
  try {
    // As a stream: the end may cut a character.
    new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true });
    return true;
  } catch {
    return false;
  }
}
