import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import path from "node:path";
import { PassThrough, type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as tar from "tar";
import type { DaemonClient } from "../client/daemon-client.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** A place in a copy: on this host, or in a VM. */
export interface Place {
  vm?: string;
  path: string;
}

type OnBytes = (bytes: number, totalBytes: number | undefined) => void;

/** `VM:/path` is in a VM; anything else, also `./a:b`, is on this host. */
export function parsePlace(text: string): Place {
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
export async function copyIn(client: DaemonClient, source: string, vm: string, target: string, onBytes: OnBytes) {
  const info = await stat(source).catch(() => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such file or directory on this host: ${source}`);
  });
  const existing = await client.fileStat(vm, target).catch(ignoreNotFound);
  const landsInside = existing?.type === "directory" && !source.endsWith("/.");
  const place = landsInside ? path.posix.join(target, path.basename(path.resolve(source))) : target;
  if (!info.isDirectory()) {
    if (target.endsWith("/") && existing === undefined)
      throw new FirebreakError("FILE_NOT_FOUND", `${target} does not exist in the VM`, {
        hint: "Make it first, or leave the last '/' out.",
      });
    const counted = countBytes(createReadStream(source), info.size, onBytes);
    const mode = (info.mode & 0o777).toString(8).padStart(4, "0");
    const written = await client.fileWrite(vm, place, counted, { mode });
    return { path: written.path, bytes: written.sizeBytes };
  }
  const archive = tar.create({ cwd: source, portable: true, noDirRecurse: false }, ["."]);
  const body = new PassThrough();
  archive.on("error", (error: unknown) => body.destroy(error as Error));
  (archive as unknown as NodeJS.ReadableStream).pipe(body);
  const result = await client.archiveWrite(vm, place, countBytes(body, undefined, onBytes));
  return { path: place, bytes: result.bytes };
}

/** Copies a file or directory of a VM to this host. The archive is the guest's: entries that leave the target are refused. */
export async function copyOut(client: DaemonClient, vm: string, source: string, target: string, onBytes: OnBytes) {
  const info = await client.fileStat(vm, source);
  const existing = await stat(target).catch(() => undefined);
  const landsInside = existing?.isDirectory() === true && !source.endsWith("/.");
  const place = landsInside ? path.join(target, path.posix.basename(source)) : target;
  return info.type === "directory"
    ? copyDirectoryOut(client, vm, source, place, onBytes)
    : copyFileOut(client, vm, source, place, onBytes);
}

async function copyFileOut(client: DaemonClient, vm: string, source: string, place: string, onBytes: OnBytes) {
  const { stat: info, body } = await client.fileRead(vm, source);
  const temporary = `${place}.firebreak-${process.pid}`;
  try {
    await pipeline(
      body,
      counter(info.sizeBytes, onBytes),
      createWriteStream(temporary, { mode: Number.parseInt(info.mode, 8) & 0o777, flags: "wx" }),
    );
    const written = (await stat(temporary)).size;
    await rename(temporary, place);
    return { path: place, bytes: written };
  } catch (error) {
    await rm(temporary, { force: true });
    throw translateHostError(error, place);
  }
}

async function copyDirectoryOut(client: DaemonClient, vm: string, source: string, place: string, onBytes: OnBytes) {
  const archive = await client.archiveRead(vm, source);
  await mkdir(place, { recursive: true }).catch((error: unknown) => {
    throw translateHostError(error, place);
  });
  let bytes = 0;
  const count = counter(undefined, (sum) => {
    bytes = sum;
    onBytes(sum, undefined);
  });
  const links: { at: string; target: string }[] = [];
  const extract = tar.extract({
    cwd: place,
    // What node-tar would skip with a warning (absolute paths, '..', writes through links) is an error here.
    strict: true,
    preservePaths: false,
    preserveOwner: false,
    filter: (entryPath, entry) => {
      if (!("type" in entry) || entry.type !== "SymbolicLink") return true;
      // Links are made afterwards, as they are: none can be written through meanwhile.
      links.push({ at: entryPath, target: entry.linkpath ?? "" });
      return false;
    },
    // A guest's root must not leave a setuid program behind on the host.
    onReadEntry: (entry) => {
      entry.mode = (entry.mode ?? 0o644) & 0o777;
    },
  });
  try {
    await pipeline(archive, count, extract as unknown as NodeJS.WritableStream);
    for (const link of links) await makeLink(place, link);
  } catch (error) {
    if (error instanceof FirebreakError) throw error;
    throw new FirebreakError("ARCHIVE_INVALID", `the VM's archive was refused: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return { path: place, bytes };
}

/** A symlink with whatever target the guest gave it: harmless as long as nothing is written through it, and it lies in the target. */
async function makeLink(place: string, link: { at: string; target: string }): Promise<void> {
  const root = await realpath(place);
  const at = path.resolve(root, link.at);
  if (at !== root && !at.startsWith(`${root}/`))
    throw new FirebreakError("ARCHIVE_INVALID", `the VM's archive has a link outside the target: ${link.at}`);
  await mkdir(path.dirname(at), { recursive: true });
  const folder = await realpath(path.dirname(at));
  if (folder !== root && !folder.startsWith(`${root}/`))
    throw new FirebreakError("ARCHIVE_INVALID", `the VM's archive has a link outside the target: ${link.at}`);
  await rm(at, { force: true });
  await symlink(link.target, at);
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

function translateHostError(error: unknown, place: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT")
    return new FirebreakError("HOST_PATH_NOT_FOUND", `the directory of ${place} does not exist on this host`);
  return error;
}
