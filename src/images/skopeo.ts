import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { mkdir, open, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RegistryCredentials } from "../contract/image.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { MAX_MANIFEST_BYTES } from "./oci.ts";
import type { WrittenLayout } from "./oci-writer.ts";
import type { ImageOptions } from "./progress.ts";
import { translateRegistryError } from "./registry-errors.ts";
import { runTool } from "./tools.ts";

/** A registry, as skopeo is to talk to it. */
export interface Registry {
  host: string;
  credentials?: RegistryCredentials;
  /** False: plain HTTP, or a certificate that nobody vouches for. */
  tlsVerify: boolean;
}

const INSPECT_TIMEOUT_MS = 120_000;
/** A registry that sends nothing for so long is given up, ms. */
const STALL_MS = 120_000;
/** The same for one that takes nothing: it may have to store all of a layer before it answers. */
const PUSH_STALL_MS = 600_000;
const LOOK_MS = 250;
/** What a copy may take beyond the layers: manifest, configuration, index. */
const SLACK_BYTES = 4 * MAX_MANIFEST_BYTES;

/** The manifest (or index) that a reference names, as the registry sends it. */
export async function fetchManifest(
  registry: Registry,
  reference: string,
  work: string,
  options: ImageOptions,
): Promise<Buffer> {
  const result = await skopeo("pull", registry, work, options, INSPECT_TIMEOUT_MS, (auth) => [
    ...["inspect", "--raw", "--authfile", auth, `--tls-verify=${registry.tlsVerify}`],
    `docker://${reference}`,
  ]);
  return Buffer.from(result.stdout, "utf8");
}

/** Copies an image of one manifest into an OCI layout. `expectedBytes`: of its layers, for the progress; more than that is refused. */
export async function copyToLayout(
  registry: Registry,
  reference: string,
  work: string,
  expectedBytes: number,
  options: ImageOptions,
): Promise<string> {
  const layout = path.join(work, "layout");
  await mkdir(layout);
  const watch = new AbortController();
  const ended = new AbortController();
  const watching = watchGrowth(layout, expectedBytes, options, ended.signal).catch((error: unknown) =>
    watch.abort(error),
  );
  const signal = options.signal === undefined ? watch.signal : AbortSignal.any([watch.signal, options.signal]);
  try {
    await skopeo("pull", registry, work, { ...options, signal }, undefined, (auth) => [
      ...["copy", "--quiet", "--remove-signatures", "--src-authfile", auth],
      `--src-tls-verify=${registry.tlsVerify}`,
      `docker://${reference}`,
      `oci:${layout}:image`,
    ]);
  } catch (error) {
    // What was found while it ran is the reason for its end.
    throw watch.signal.aborted ? watch.signal.reason : error;
  } finally {
    ended.abort();
    await watching;
  }
  return layout;
}

/**
 * Copies the image of a layout to a tag in a registry. Returns the digest of its manifest there, which is another than the layout's where
 * the registry takes older kinds only.
 */
export async function copyFromLayout(
  registry: Registry,
  reference: string,
  work: string,
  layout: WrittenLayout,
  options: ImageOptions,
): Promise<string> {
  const digestFile = path.join(work, "pushed-digest");
  const watch = new AbortController();
  const ended = new AbortController();
  let watching: Promise<void> | undefined;
  const onSpawn = (pid: number) => {
    watching = watchReading(pid, layout, options, ended.signal).catch((error: unknown) => watch.abort(error));
  };
  const signal = options.signal === undefined ? watch.signal : AbortSignal.any([watch.signal, options.signal]);
  options.onProgress?.({ step: "send", message: `sending the image to ${registry.host}` });
  try {
    await skopeo("push", registry, work, { ...options, signal, onSpawn }, undefined, (auth) => [
      ...["copy", "--quiet", "--dest-authfile", auth, `--dest-tls-verify=${registry.tlsVerify}`],
      ...["--digestfile", digestFile, `oci:${layout.folder}:image`, `docker://${reference}`],
    ]);
  } catch (error) {
    // What was found while it ran is the reason for its end.
    throw watch.signal.aborted ? watch.signal.reason : error;
  } finally {
    ended.abort();
    await watching;
  }
  return (await readFile(digestFile, "utf8")).trim();
}

/** Tells how far skopeo has read the layer, which it does as the registry takes it. */
async function watchReading(
  pid: number,
  { layerPath, layerBytes }: WrittenLayout,
  options: ImageOptions,
  ended: AbortSignal,
): Promise<void> {
  let before = 0;
  let changedAtMs = Date.now();
  for (;;) {
    try {
      await sleep(LOOK_MS, undefined, { signal: ended });
    } catch {
      return;
    }
    const position = (await readPosition(pid, layerPath)) ?? before;
    if (position !== before) changedAtMs = Date.now();
    else if (Date.now() - changedAtMs > PUSH_STALL_MS)
      throw new FirebreakError("IMAGE_PUSH_FAILED", `the registry has taken nothing for ${PUSH_STALL_MS / 1000} s`);
    before = position;
    const fraction = Math.min(1, position / layerBytes);
    options.onProgress?.({ step: "send", message: "sending the layer", fraction });
  }
}

/** How far a process has read a file that it has open; undefined when it has not. */
async function readPosition(pid: number, file: string): Promise<number | undefined> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => undefined)) !== file) continue;
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8").catch(() => "");
    const position = /^pos:\s*(\d+)$/m.exec(info)?.[1];
    if (position !== undefined) return Number(position);
  }
  return undefined;
}

async function watchGrowth(
  layout: string,
  expectedBytes: number,
  options: ImageOptions,
  ended: AbortSignal,
): Promise<void> {
  let before = -1;
  let changedAtMs = Date.now();
  for (;;) {
    try {
      await sleep(LOOK_MS, undefined, { signal: ended });
    } catch {
      return;
    }
    const bytes = await sizeOf(layout);
    if (bytes > expectedBytes + SLACK_BYTES)
      throw new FirebreakError(
        "IMAGE_TOO_LARGE",
        `the registry sends more than the ${expectedBytes} bytes that it spoke of`,
      );
    if (bytes !== before) changedAtMs = Date.now();
    else if (Date.now() - changedAtMs > STALL_MS)
      throw new FirebreakError("IMAGE_PULL_FAILED", `the registry has sent nothing for ${STALL_MS / 1000} s`);
    before = bytes;
    const fraction = expectedBytes === 0 ? 1 : Math.min(1, bytes / expectedBytes);
    options.onProgress?.({ step: "fetch", message: "fetching the layers", fraction });
  }
}

/** Of all files below a folder; those that come and go meanwhile count as nothing. */
async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    bytes += (await stat(path.join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

async function skopeo(
  action: "pull" | "push",
  registry: Registry,
  work: string,
  options: ImageOptions & { onSpawn?: (pid: number) => void },
  timeoutMs: number | undefined,
  args: (authFile: string) => string[],
) {
  const policy = await findPolicy(work, options.env ?? process.env);
  const auth = await openSecret(JSON.stringify({ auths: toAuths(registry) }));
  try {
    // The descriptor is the first that it gets besides the three of every program.
    return await runTool("skopeo", [...policy, "--tmpdir", work, ...args("/proc/self/fd/3")], {
      fds: [auth.fd],
      keptOutputBytes: MAX_MANIFEST_BYTES + 1,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.onSpawn === undefined ? {} : { onSpawn: options.onSpawn }),
    });
  } catch (error) {
    throw translateRegistryError(error, registry.host, action);
  } finally {
    await auth.close();
  }
}

function toAuths({ host, credentials }: Registry): Record<string, { auth: string }> {
  if (credentials === undefined) return {};
  return { [host]: { auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64") } };
}

/** A file that has no name any more when the secret is written to it: it goes with the last process that holds it open. */
async function openSecret(text: string) {
  const folder = existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir();
  const file = path.join(folder, `.firebreak-${process.pid}-${randomBytes(8).toString("hex")}`);
  const handle = await open(file, "wx+", 0o600);
  rmSync(file);
  await handle.writeFile(text);
  return handle;
}

/** What the host's administrator says of signatures counts; where nothing is said, skopeo would refuse everything. */
async function findPolicy(work: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const own = path.join(env.HOME ?? os.homedir(), ".config/containers/policy.json");
  if (existsSync(own) || existsSync("/etc/containers/policy.json")) return [];
  const file = path.join(work, "policy.json");
  await writeFile(file, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  return ["--policy", file];
}
