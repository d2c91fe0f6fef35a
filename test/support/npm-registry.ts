import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { writeFiles } from "./workspace-service.ts";

export interface NpmPackage {
  name: string;
  version: string;
  /** Of the package besides package.json, by their paths. */
  files?: Record<string, string>;
  bin?: Record<string, string>;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
}

/** A registry as npm knows it, on a port of loopback: packages are packed by npm, and asked for by it. */
export interface NpmRegistry {
  port: number;
  /** Packs it; what was published last is the latest. Returns its digest, as npm has it. */
  publish: (added: NpmPackage) => string;
  /** Paths that were asked for. */
  requested: string[];
  close: () => void;
}

/** `url` is where clients find it: tarballs are named below that. */
export async function openNpmRegistry(url: string): Promise<NpmRegistry> {
  const documents = new Map<string, { "dist-tags": Record<string, string>; versions: Record<string, object> }>();
  const tarballs = new Map<string, Buffer>();
  const requested: string[] = [];
  const server = http.createServer((request, response) => {
    const place = decodeURIComponent(new URL(request.url ?? "/", url).pathname).slice(1);
    requested.push(place);
    const document = documents.get(place);
    const body =
      tarballs.get(place) ?? (document === undefined ? undefined : JSON.stringify({ name: place, ...document }));
    response.statusCode = body === undefined ? 404 : 200;
    response.setHeader("content-type", Buffer.isBuffer(body) ? "application/octet-stream" : "application/json");
    response.end(body ?? "{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const publish = ({ files = {}, ...manifest }: NpmPackage) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "fb-pack-"));
    try {
      writeFiles(path.join(folder, "package"), { ...files, "package.json": JSON.stringify(manifest) });
      const packed = execFileSync(
        "npm",
        ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder, path.join(folder, "package")],
        {
          encoding: "utf8",
          cwd: folder,
        },
      );
      const tarball = readFileSync(path.join(folder, packed.trim()));
      const place = `${manifest.name}/-/${manifest.version}.tgz`;
      const digest = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
      tarballs.set(place, tarball);
      const dist = { tarball: new URL(place, url).href, integrity: digest };
      const versions = { ...documents.get(manifest.name)?.versions, [manifest.version]: { ...manifest, dist } };
      documents.set(manifest.name, { "dist-tags": { latest: manifest.version }, versions });
      return digest;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const { port } = server.address() as AddressInfo;
  return {
    port,
    publish,
    requested,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
