import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";

/** Beginnings of paths that are pages of the dashboard: the one file answers them all. None is one of the API's. */
const PAGES = ["login", "tasks", "vms", "mcp-servers", "secrets", "audit"];
const PAGE_PATH = new RegExp(`^/(?:(?:${PAGES.join("|")})(?:/.*)?)?$`);
/** Files, by their whole path: nothing that a request says becomes part of a path but a name without a separator. */
const ASSET_PATH = /^\/assets\/([\w.-]+\.(?:js|css|svg|woff2))$/;
const OTHER_FILES = ["/favicon.svg", "/theme.js"];

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** What a page of ours may load: this daemon alone, and no script or style that stands in the page. `blob:` images are files of tasks. */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export const PAGE_HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
};

/** The built dashboard. */
export class DashboardFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file that a request is for, if it is for one of the dashboard's: those hold nothing that a stranger may not see. */
  static fileOf({ method, url = "" }: Pick<IncomingMessage, "method" | "url">): string | undefined {
    if (method !== "GET" && method !== "HEAD") return undefined;
    const pathname = url.split(/[?#]/, 1)[0] ?? "";
    if (PAGE_PATH.test(pathname)) return "index.html";
    if (OTHER_FILES.includes(pathname)) return pathname.slice(1);
    const asset = ASSET_PATH.exec(pathname)?.[1];
    return asset === undefined ? undefined : `assets/${asset}`;
  }

  /** Answers with a file of `fileOf`. */
  async send(name: string, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const file = path.join(this.#folder, name);
    const takesGzip = /\bgzip\b/.test(String(incoming.headers["accept-encoding"] ?? ""));
    const zipped = takesGzip ? await sizeOf(`${file}.gz`) : undefined;
    const size = zipped ?? (await sizeOf(file));
    for (const [header, value] of Object.entries(PAGE_HEADERS)) outgoing.setHeader(header, value);
    if (size === undefined) return sendMissing(name, outgoing);
    outgoing.writeHead(200, {
      "content-type": TYPES[path.extname(name)] ?? "application/octet-stream",
      "content-length": size,
      // A name with a digest in it always means the same bytes; the page itself names the newest ones.
      "cache-control": name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "accept-encoding",
      ...(zipped === undefined ? {} : { "content-encoding": "gzip" }),
    });
    if (incoming.method === "HEAD") return void outgoing.end();
    await pipeline(createReadStream(zipped === undefined ? file : `${file}.gz`), outgoing).catch(() =>
      outgoing.destroy(),
    );
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const stats = await stat(file).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}

/** A checkout whose dashboard has not been built; or a file of a version that is no more. */
function sendMissing(name: string, outgoing: ServerResponse): void {
  outgoing.writeHead(404, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  outgoing.end(name === "index.html" ? "The dashboard has not been built: make setup\n" : "not found\n");
}
