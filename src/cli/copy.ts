import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HostTree, translateHostError } from "../archive/host-tree.ts";
import { type ArchiveLimits, DEFAULT_LIMITS } from "../archive/tar-reader.ts";
import { asArchiveError, unpackTo } from "../archive/unpack.ts";
import type { DaemonClient } from "../client/daemon-client.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { uploadTree } from "./upload-tree.ts";

/** A place in a copy: on this host, or in a VM. */
export interface Place {
  vm?: string;
  path: string;
}

export interface CopyResult {
  path: string;
  bytes: number;
  /** What an archive cannot carry: devices, FIFOs, sockets. */
  skipped: string[];
}

/** The calls that a copy makes. */
export interface CopyClient {
  files: Pick<DaemonClient["files"], "stat" | "read" | "write" | "readArchive" | "writeArchive">;
}

type OnBytes = (bytes: number, totalBytes: number | undefined) => void;

/** `VM:/path` is in a VM; anything else, also `./a:b`, is on this host. */
export function parsePlace(text: string): Place {
  if (text === "-")
    throw new FirebreakError("INVALID_ARGUMENT", "'-' is no place of a copy", {
      hint: "By stdin and stdout: firebreak vm exec VM -- cat /PATH, or: firebreak vm exec VM -- tee /PATH < FILE. A file of that name is ./-",
    });
  const match = /^([a-z0-9][a-z0-9-]*):(.*)$/s.exec(text);
  if (match === null) return { path: text };
  const guestPath = match[2] ?? "";
  if (!guestPath.startsWith("/")) {
    throw new FirebreakError("INVALID_PATH", `'${text}': the path in a VM must be absolute`, {
      hint: `Such as ${match[1]}:/root/${guestPath}; a host file with a colon is ./${text}.`,
    });
  }
  return { vm: match[1] as string, path: guestPath };
}

/** Copies a host file or directory into a VM. */
export async function copyIn(
  client: CopyClient,
  source: string,
  vm: string,
  target: string,
  onBytes: OnBytes,
): Promise<CopyResult> {
  const info = await stat(source).catch(() => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such file or directory on this host: ${source}`);
  });
  const existing = await client.files.stat(vm, target).catch(ignoreNotFound);
  const landsInside = existing?.type === "directory" && !source.endsWith("/.");
  const place = landsInside ? path.posix.join(target, path.basename(path.resolve(source))) : target;
  if (info.isDirectory()) return copyDirectoryIn(client, source, vm, place, onBytes);
  if (!info.isFile())
    throw new FirebreakError("INVALID_ARGUMENT", `${source} is neither a file nor a directory`, {
      hint: "Devices, FIFOs and sockets are not copied.",
    });
  if (target.endsWith("/") && existing === undefined)
    throw new FirebreakError("FILE_NOT_FOUND", `${target} does not exist in the VM`, {
      hint: "Make it first, or leave the last '/' out.",
    });
  const counted = countBytes(createReadStream(source), info.size, onBytes);
  const mode = (info.mode & 0o777).toString(8).padStart(4, "0");
  const written = await client.files.write(vm, place, counted, { mode });
  return { path: written.path, bytes: written.sizeBytes, skipped: [] };
}

async function copyDirectoryIn(
  client: CopyClient,
  source: string,
  vm: string,
  place: string,
  onBytes: OnBytes,
): Promise<CopyResult> {
  const { result, skipped } = await uploadTree(source, (body) =>
    client.files.writeArchive(vm, place, countBytes(body, undefined, onBytes)),
  );
  return { path: place, bytes: result.bytes, skipped };
}

/** Copies a file or directory of a VM to this host. The archive is the guest's: entries that leave the target are refused. */
export async function copyOut(
  client: CopyClient,
  vm: string,
  source: string,
  target: string,
  onBytes: OnBytes,
  limits: ArchiveLimits = DEFAULT_LIMITS,
): Promise<CopyResult> {
  const info = await client.files.stat(vm, source);
  const existing = await stat(target).catch(() => undefined);
  const landsInside = existing?.isDirectory() === true && !source.endsWith("/.");
  const place = landsInside ? path.join(target, path.posix.basename(source)) : target;
  return info.type === "directory"
    ? copyDirectoryOut(client, vm, source, place, onBytes, limits)
    : copyFileOut(client, vm, source, place, onBytes, limits);
}

async function copyFileOut(
  client: CopyClient,
  vm: string,
  source: string,
  place: string,
  onBytes: OnBytes,
  limits: ArchiveLimits,
): Promise<CopyResult> {
  const { stat: info, body } = await client.files.read(vm, source);
  const temporary = `${place}.firebreak-${process.pid}`;
  const count = counter(info.sizeBytes, (bytes, total) => {
    if (bytes > limits.maxBytes) body.destroy(tooManyBytes(source, limits));
    onBytes(bytes, total);
  });
  try {
    if (info.sizeBytes > limits.maxBytes) throw tooManyBytes(source, limits);
    await pipeline(
      body,
      count,
      createWriteStream(temporary, { mode: Number.parseInt(info.mode, 8) & 0o777, flags: "wx" }),
    );
    const written = (await stat(temporary)).size;
    await rename(temporary, place);
    return { path: place, bytes: written, skipped: [] };
  } catch (error) {
    body.destroy();
    await rm(temporary, { force: true });
    throw translateFileError(error, place);
  }
}

function tooManyBytes(source: string, limits: ArchiveLimits): FirebreakError {
  return new FirebreakError("ARCHIVE_TOO_LARGE", `${source} has more than ${limits.maxBytes} bytes`, {
    hint: "If that is what you want, raise --max-size.",
    details: { ...limits },
  });
}

async function copyDirectoryOut(
  client: CopyClient,
  vm: string,
  source: string,
  place: string,
  onBytes: OnBytes,
  limits: ArchiveLimits,
): Promise<CopyResult> {
  const archive = await client.files.readArchive(vm, source);
  await mkdir(place, { recursive: true }).catch((error: unknown) => {
    archive.destroy();
    throw translateFileError(error, place);
  });
  const tree = await HostTree.open(place);
  try {
    const counted = countBytes(archive, undefined, onBytes);
    const { bytes, skipped } = await unpackTo(tree, counted as AsyncIterable<Buffer>, limits);
    return { path: place, bytes, skipped };
  } catch (error) {
    throw asArchiveError(error);
  } finally {
    archive.destroy();
    await tree.close();
  }
}

function counter(totalBytes: number | undefined, onBytes: OnBytes): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onBytes(bytes, totalBytes);
      done(null, chunk);
    },
  });
}

function countBytes(source: Readable, totalBytes: number | undefined, onBytes: OnBytes): Readable {
  const count = counter(totalBytes, onBytes);
  source.on("error", (error) => count.destroy(error));
  return source.pipe(count);
}

function ignoreNotFound(error: unknown): undefined {
  if (error instanceof FirebreakError && error.code === "FILE_NOT_FOUND") return undefined;
  throw error;
}

function translateFileError(error: unknown, place: string): unknown {
  if (error instanceof FirebreakError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT")
    return new FirebreakError("HOST_PATH_NOT_FOUND", `the directory of ${place} does not exist on this host`);
  return translateHostError(error, Buffer.from(place));
}
