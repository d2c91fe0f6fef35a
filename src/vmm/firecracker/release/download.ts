import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../../../errors/firebreak-error.ts";
import { parseSums } from "./archive.ts";
import type { HostArch } from "./elf.ts";

/** Where the project publishes its releases; FIREBREAK_FIRECRACKER_MIRROR names another place with the same names below it. */
const RELEASES = "https://github.com/firecracker-microvm/firecracker/releases/download";
/** Nothing comes for this long, ms: nothing will. */
const STALL_MS = 60_000;
/** A release is some 40 MB. */
const MAX_ARCHIVE_BYTES = 1024 ** 3;
const MAX_SUM_BYTES = 4096;

export type OnInstallProgress = (progress: { step: string; message: string; fraction?: number }) => void;

export interface DownloadOptions {
  env?: NodeJS.ProcessEnv;
  onProgress?: OnInstallProgress;
  signal?: AbortSignal;
}

/**
 * Downloads a release's archive into a folder and compares it with the digest that is published beside it. Returns its path. Throws
 * VMM_RELEASE_FETCH_FAILED (no such release, no way there, another digest, a server that falls silent) or OPERATION_CANCELED.
 */
export async function downloadRelease(
  version: string,
  arch: HostArch,
  folder: string,
  options: DownloadOptions = {},
): Promise<{ file: string; url: string }> {
  const base = (options.env ?? process.env).FIREBREAK_FIRECRACKER_MIRROR || RELEASES;
  const name = `firecracker-v${version}-${arch}.tgz`;
  const url = `${base.replace(/\/+$/, "")}/v${version}/${name}`;
  const message = `downloading Firecracker ${version}`;
  try {
    const sums = parseSums((await readShort(`${url}.sha256.txt`, options.signal)).toString("utf8"));
    const expected = sums.get(name);
    if (expected === undefined) throw failed(`${url}.sha256.txt has no digest of ${name}`);
    const file = path.join(folder, name);
    const report = (fraction: number) => options.onProgress?.({ step: "firecracker-fetch", message, fraction });
    report(0);
    const found = await downloadTo(file, url, report, options.signal);
    if (found !== expected) throw failed(`${url} has another digest than is published beside it`);
    return { file, url };
  } catch (error) {
    if (options.signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "the download was cancelled");
    throw describeFailure(error, version, arch);
  }
}

async function readShort(url: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  await fetchEach(url, signal, async (chunk) => {
    size += chunk.length;
    if (size > MAX_SUM_BYTES) throw failed(`${url} is no digest`);
    chunks.push(chunk);
  });
  return Buffer.concat(chunks);
}

/** Returns the SHA-256 of what was written. */
async function downloadTo(
  file: string,
  url: string,
  report: (fraction: number) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(file, "wx", 0o600);
  let size = 0;
  try {
    await fetchEach(url, signal, async (chunk, totalBytes) => {
      size += chunk.length;
      if (size > MAX_ARCHIVE_BYTES) throw failed(`${url} is larger than any release`);
      hash.update(chunk);
      await handle.writeFile(chunk);
      if (totalBytes > 0) report(Math.min(1, size / totalBytes));
    });
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}

/** Fetches, and gives each piece away with the length that was announced (0 for none). */
async function fetchEach(
  url: string,
  signal: AbortSignal | undefined,
  take: (chunk: Buffer, totalBytes: number) => Promise<void>,
): Promise<void> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(failed(`${url} sends nothing`)), STALL_MS);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([stalled.signal, ...(signal ? [signal] : [])]) });
    if (!response.ok || response.body === null) throw failed(`${url} answers ${response.status}`, response.status);
    const totalBytes = Number(response.headers.get("content-length") ?? 0);
    for await (const chunk of response.body) {
      timer.refresh();
      await take(Buffer.from(chunk), totalBytes);
    }
  } finally {
    clearTimeout(timer);
  }
}

function failed(message: string, status?: number): FirebreakError {
  return new FirebreakError("VMM_RELEASE_FETCH_FAILED", message, status === undefined ? {} : { details: { status } });
}

function describeFailure(thrown: unknown, version: string, arch: HostArch): FirebreakError {
  const error = toFirebreakError(thrown);
  const words = error.code === "VMM_RELEASE_FETCH_FAILED" ? error.message : reasonOf(thrown);
  return new FirebreakError("VMM_RELEASE_FETCH_FAILED", `Firecracker ${version} could not be downloaded: ${words}`, {
    cause: thrown,
    ...(error.details !== undefined && { details: error.details }),
    hint: `Download firecracker-v${version}-${arch}.tgz where there is a network, bring it here, and give it as FILE: firebreak setup --firecracker FILE`,
  });
}

/** "fetch failed" says nothing; its cause does. */
function reasonOf(thrown: unknown): string {
  const { cause, message } = thrown as Error;
  if (!(cause instanceof Error)) return message;
  const { code } = cause as NodeJS.ErrnoException;
  return cause.message || code || message;
}
