import { createReadStream, existsSync, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import nodePath from "node:path";
import { Readable } from "node:stream";
import type { ImportFormat } from "../contract/image.ts";
import { parseImageReference } from "../contract/image-reference.ts";
import type { Progress } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readCommand } from "../platform/process.ts";
import { formatBytes } from "./output.ts";

/** Where an image is pulled from. An archive is of this host, and of whoever calls: the daemon gets its bytes, never its path. */
export type PullSource =
  | { kind: "registry"; reference: string }
  | { kind: "oci" | "oci-archive" | "docker-archive"; path: string; image?: string };

type OnProgress = (progress: Progress) => void;

/** Throws INVALID_ARGUMENT on what is neither a reference nor an archive. */
export function parseSource(text: string): PullSource {
  const match = /^(oci|oci-archive|docker-archive):(.*)$/s.exec(text);
  if (match === null) {
    parseImageReference(text);
    return { kind: "registry", reference: text };
  }
  const kind = match[1] as "oci" | "oci-archive" | "docker-archive";
  const rest = match[2] ?? "";
  // As with skopeo, what is behind the first colon names an image: `oci-archive:FILE:repo/name:tag`.
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  if (path === "")
    throw new FirebreakError("INVALID_ARGUMENT", `'${text}' names no ${kind === "oci" ? "directory" : "file"}`);
  return { kind, path, ...(colon < 0 ? {} : { image: rest.slice(colon + 1) }) };
}

/** An OCI layout or an archive of this host as a stream. */
export async function openArchive(
  source: Exclude<PullSource, { kind: "registry" }>,
  onProgress: OnProgress,
): Promise<{ format: ImportFormat; body: Readable }> {
  const info = await look(source.path);
  if (source.kind !== "oci") return { format: source.kind, body: openFile(source.path, info, onProgress) };
  if (!info.isDirectory())
    throw new FirebreakError("INVALID_ARGUMENT", `${source.path} is no directory`, {
      hint: "An archive is oci-archive:FILE.",
    });
  if (!existsSync(nodePath.join(source.path, "index.json")))
    throw new FirebreakError("INVALID_ARGUMENT", `${source.path} is no OCI layout: it has no index.json`);
  const args = ["--create", "--format=posix", "--directory", source.path, "--", "index.json", "blobs"];
  return { format: "oci-archive", body: counted(readCommand("tar", args), undefined, onProgress) };
}

/** A root file system: a tar, a directory, or standard input for `-`. */
export async function openRootfs(source: string, onProgress: OnProgress): Promise<Readable> {
  if (source === "-") return counted(process.stdin, undefined, onProgress);
  const info = await look(source);
  if (!info.isDirectory()) return openFile(source, info, onProgress);
  const args = [
    ...["--create", "--format=posix", "--numeric-owner", "--xattrs", "--xattrs-include=security.capability"],
    // What is mounted in it, such as /proc, is no part of it.
    ...["--one-file-system", "--directory", source, "--", "."],
  ];
  return counted(readCommand("tar", args), undefined, onProgress);
}

/** A directory that a build copies from, with its build file in it. */
export async function openBuildContext(folder: string, file: string) {
  const info = await look(folder);
  if (!info.isDirectory()) throw new FirebreakError("INVALID_ARGUMENT", `${folder} is no directory`);
  await look(file);
  const inContext = nodePath.relative(nodePath.resolve(folder), nodePath.resolve(file));
  if (inContext.startsWith(".."))
    throw new FirebreakError("INVALID_ARGUMENT", `${file} is not in ${folder}`, {
      hint: "The build file lies in the directory that is built from, or below.",
    });
  const args = ["--create", "--format=posix", "--directory", folder, "--", "."];
  const open = async (onProgress: OnProgress) => counted(readCommand("tar", args), undefined, onProgress);
  return { inContext, open };
}

async function look(path: string): Promise<Stats> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such file or directory on this host: ${path}`);
  });
}

function openFile(path: string, info: Stats, onProgress: OnProgress): Readable {
  if (info.isDirectory())
    throw new FirebreakError("INVALID_ARGUMENT", `${path} is a directory`, {
      hint: "A layout's directory is oci:DIR.",
    });
  return counted(createReadStream(path), info.size || undefined, onProgress);
}

function counted(source: AsyncIterable<Buffer>, totalBytes: number | undefined, onProgress: OnProgress): Readable {
  let bytes = 0;
  const count = async function* () {
    for await (const chunk of source) {
      bytes += chunk.length;
      const fraction = totalBytes === undefined ? {} : { fraction: Math.min(1, bytes / totalBytes) };
      onProgress({ step: "send", message: `sent ${formatBytes(bytes)}`, ...fraction });
      yield chunk;
    }
  };
  return Readable.from(count(), { objectMode: false });
}
