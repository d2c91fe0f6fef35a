import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { type AptPackage, type AptSandbox, createAptSandbox, downloadPackage, showPackage, updateApt } from "./apt.ts";
import { GUEST_ARCH } from "./arch.ts";
import { hashFile } from "./digest.ts";
import type { ImageOptions } from "./progress.ts";
import { DEBIAN_KEYRING } from "./requirements.ts";
import { findDebianArchive } from "./sources.ts";
import { runTool } from "./tools.ts";

/** The programs that openKernelArchive and fetchTree run. */
export const FETCH_TOOLS = ["apt-get", "gpgv", "dpkg-deb"] as const;

/** The Debian archive with its signed index, as the packages of the kernel are found in it. */
export interface KernelArchive {
  apt: AptSandbox;
  /** URI that the packages come from, without user name and password. */
  source: string;
}

/** Reads the archive's index into `work`. Throws TOOL_FAILED when it is not signed by the keyring. */
export async function openKernelArchive(work: string, options: ImageOptions): Promise<KernelArchive> {
  const env = options.env ?? process.env;
  const keyring = options.keyring ?? DEBIAN_KEYRING.path;
  options.onProgress?.({ step: "kernel-index", message: "reading the Debian archive's index" });
  const archive = await findDebianArchive(env);
  const apt = await createAptSandbox(path.join(work, "apt"), archive, keyring, GUEST_ARCH.debArch, env);
  await updateApt(apt, options.signal);
  return { apt, source: withoutCredentials(archive.security ?? archive.main) };
}

/** A metapackage names the package that holds the thing itself; its name begins with `prefix`. Throws KERNEL_FETCH_FAILED. */
export async function resolveMetaPackage(
  { apt }: KernelArchive,
  metaPackage: string,
  prefix: string,
  signal?: AbortSignal,
): Promise<AptPackage> {
  const meta = await showPackage(apt, metaPackage, signal);
  const name = meta?.depends.map((part) => part.split(" ")[0] as string).find((part) => part.startsWith(prefix));
  if (name === undefined) throw fetchFailed(`the archive has no usable package ${metaPackage}`);
  const found = await showPackage(apt, name, signal);
  if (found === undefined) throw fetchFailed(`the archive has no package ${name}`);
  return found;
}

/** Downloads a package, checks it against the signed index and unpacks it, without installing it; returns the tree. */
export async function fetchTree(
  work: string,
  { apt }: KernelArchive,
  wanted: AptPackage,
  options: ImageOptions,
): Promise<string> {
  const message = `fetching ${wanted.name} ${wanted.version}`;
  const report = (fraction: number) => options.onProgress?.({ step: "kernel-fetch", message, fraction });
  report(0);
  const download = path.join(work, "download");
  await mkdir(download);
  await downloadPackage(apt, wanted, download, report, options.signal);
  const debFile = (await readdir(download)).find((name) => name.endsWith(".deb"));
  if (debFile === undefined) throw fetchFailed(`apt-get downloaded no package file for ${wanted.name}`);
  const deb = path.join(download, debFile);
  // apt has compared it already; this keeps the promise in our own hands should apt's options ever be weakened.
  if ((await hashFile(deb)) !== wanted.sha256) throw fetchFailed(`${debFile} does not match the signed index`);
  options.onProgress?.({ step: "kernel-unpack", message: `unpacking ${wanted.name}` });
  const tree = path.join(work, "tree");
  await runTool("dpkg-deb", ["-x", deb, tree], { ...(options.signal && { signal: options.signal }) });
  await rm(download, { recursive: true });
  return tree;
}

/** Runs `fetch`; a tool that failed in it becomes KERNEL_FETCH_FAILED. */
export async function asFetch<T>(fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (thrown) {
    const error = toFirebreakError(thrown);
    if (error.code !== "TOOL_FAILED") throw error;
    throw new FirebreakError("KERNEL_FETCH_FAILED", `the guest kernel could not be fetched: ${error.message}`, {
      cause: error,
      hint: "Check that the Debian mirror can be reached; FIREBREAK_DEBIAN_MIRROR names another one.",
    });
  }
}

export function fetchFailed(message: string): FirebreakError {
  return new FirebreakError("KERNEL_FETCH_FAILED", message);
}

function withoutCredentials(uri: string): string {
  return uri.replace(/\/\/[^/@]*@/, "//");
}
