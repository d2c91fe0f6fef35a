import { createHash, randomBytes } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import type { Artifact, ArtifactCreate } from "../contract/artifact.ts";
import type { Vm } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { Mutex } from "../vms/mutex.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import { guessMediaType, SNIFFED_BYTES } from "./media-type.ts";

const DEFAULT_MAX_BYTES = 16 * 1024 ** 3;
const PROGRESS_BYTES = 4 * 1024 * 1024;
const PART = "part-";

/** Files and directories of VMs that are kept: the bytes in files that are named by their digest, the rest in the store. */
export class ArtifactService {
  readonly #folder: string;
  readonly #store: ArtifactStore;
  /** Between a file's coming and its row, and between a row's going and its file, nobody else counts who needs the file. */
  readonly #lock = new Mutex();

  constructor(folder: string, store: ArtifactStore) {
    this.#folder = folder;
    this.#store = store;
  }

  list(): Artifact[] {
    return this.#store.list();
  }

  /** By name or id. Throws ARTIFACT_NOT_FOUND. */
  get(nameOrId: string): Artifact {
    const artifact = this.#store.find(nameOrId);
    if (artifact !== undefined) return artifact;
    throw new FirebreakError("ARTIFACT_NOT_FOUND", `no artifact is named '${nameOrId}'`, {
      hint: "List them: firebreak artifact list",
    });
  }

  /** Copies a file, or a directory as a tar, out of a VM. */
  async create(
    vm: Pick<Vm, "id" | "name">,
    client: GuestClient,
    request: ArtifactCreate,
    options: WorkOptions,
  ): Promise<Artifact> {
    if (request.name !== undefined) this.#requireFreeName(request.name);
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    const info = await client.stat(request.path, true, signal);
    if (info.type !== "file" && info.type !== "directory")
      throw new FirebreakError("INVALID_ARGUMENT", `${request.path} is neither a file nor a directory`);
    const openBody = async () =>
      info.type === "file"
        ? (await client.readFile(request.path, {}, signal)).body
        : client.readArchive(request.path, signal);
    const taken = await this.#take(openBody, request.maxBytes ?? DEFAULT_MAX_BYTES, options);
    return this.#lock.run(async () => {
      try {
        const name = request.name ?? this.#freeName(defaultName(request.path, info.type === "directory"));
        const artifact: Artifact = {
          id: randomBytes(6).toString("hex"),
          name,
          kind: info.type === "file" ? "file" : "directory",
          mediaType: info.type === "file" ? guessMediaType(request.path, taken.start) : "application/x-tar",
          sizeBytes: taken.sizeBytes,
          digest: `sha256:${taken.sha256}`,
          vm: { id: vm.id, name: vm.name },
          path: request.path,
          createdAt: new Date().toISOString(),
        };
        await rename(taken.part, this.#place(artifact));
        this.#store.insert(artifact);
        return artifact;
      } catch (error) {
        await rm(taken.part, { force: true });
        await this.#dropUnused(taken.sha256);
        throw error;
      }
    });
  }

  /** Its bytes from `offset` on, at most `length` of them. Throws ARTIFACT_CORRUPT when its file is gone. */
  read(artifact: Artifact, range: { offset?: number | undefined; length?: number | undefined }): Readable {
    const place = this.#place(artifact);
    if (!existsSync(place))
      throw new FirebreakError("ARTIFACT_CORRUPT", `the content of the artifact '${artifact.name}' is missing`);
    const start = Math.min(range.offset ?? 0, artifact.sizeBytes);
    const end = Math.min(artifact.sizeBytes, start + (range.length ?? artifact.sizeBytes));
    return end > start ? createReadStream(place, { start, end: end - 1 }) : Readable.from([]);
  }

  async delete(nameOrId: string): Promise<Artifact> {
    return this.#lock.run(async () => {
      const artifact = this.get(nameOrId);
      this.#store.remove(artifact.id);
      await this.#dropUnused(artifact.digest.slice("sha256:".length));
      return artifact;
    });
  }

  /** Removes what a daemon that died left without a row. */
  async sweep(): Promise<void> {
    const known = new Set(this.#store.list().map(({ digest }) => digest.slice("sha256:".length)));
    for (const name of await readdir(this.#folder).catch(() => [] as string[]))
      if (!known.has(name)) await rm(path.join(this.#folder, name), { force: true });
  }

  async #take(openBody: () => Promise<Readable>, maxBytes: number, { signal, onProgress }: WorkOptions) {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const part = path.join(this.#folder, `${PART}${randomBytes(8).toString("hex")}`);
    let body: Readable | undefined;
    const onAbort = () => body?.destroy(new FirebreakError("OPERATION_CANCELED", "the caller is gone"));
    signal?.addEventListener("abort", onAbort, { once: true });
    const hash = createHash("sha256");
    let start = Buffer.alloc(0);
    let sizeBytes = 0;
    let toldBytes = 0;
    const handle = await open(part, "wx", 0o600);
    try {
      // Not before there is a place for it: a short stream that nobody reads is over at once.
      body = await openBody();
      if (signal?.aborted) onAbort();
      for await (const piece of body as AsyncIterable<Buffer>) {
        sizeBytes += piece.length;
        if (sizeBytes > maxBytes)
          throw new FirebreakError("ARCHIVE_TOO_LARGE", `it has more than ${maxBytes} bytes`, {
            hint: "If that is what you want, raise --max-size.",
            details: { maxBytes },
          });
        hash.update(piece);
        if (start.length < SNIFFED_BYTES) start = Buffer.concat([start, piece]).subarray(0, SNIFFED_BYTES);
        for (let at = 0; at < piece.length; ) at += (await handle.write(piece, at)).bytesWritten;
        if (sizeBytes - toldBytes < PROGRESS_BYTES) continue;
        toldBytes = sizeBytes;
        onProgress?.({ step: "copy", message: `copied ${Math.round(sizeBytes / 1024 ** 2)} MiB` });
      }
      await handle.sync();
      return { part, sizeBytes, start, sha256: hash.digest("hex") };
    } catch (error) {
      await rm(part, { force: true });
      const known = toFirebreakError(error);
      if (known.code !== "INTERNAL") throw known;
      throw new FirebreakError("CHANNEL_LOST", `reading it from the VM broke off: ${known.message}`, { cause: error });
    } finally {
      await handle.close();
      body?.destroy();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #dropUnused(sha256: string): Promise<void> {
    const isUsed = this.#store.list().some(({ digest }) => digest === `sha256:${sha256}`);
    if (!isUsed) await rm(path.join(this.#folder, sha256), { force: true });
  }

  #place({ digest }: Artifact): string {
    return path.join(this.#folder, digest.slice("sha256:".length));
  }

  #requireFreeName(name: string): void {
    if (this.#store.find(name) === undefined) return;
    throw new FirebreakError("ARTIFACT_ALREADY_EXISTS", `an artifact named '${name}' exists`, {
      hint: `Choose another name, or delete it: firebreak artifact delete ${name}`,
    });
  }

  #freeName(name: string): string {
    const dot = name.lastIndexOf(".");
    const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
    for (let count = 1; ; count++) {
      const candidate = count === 1 ? name : `${stem}-${count}${ending}`;
      if (this.#store.find(candidate) === undefined) return candidate;
    }
  }
}

/** The last part of a path as a name; a guest's file may be named anything. */
function defaultName(guestPath: string, isFolder: boolean): string {
  const name = path.posix
    .basename(guestPath)
    .replace(/[^A-Za-z0-9._+-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(-180);
  return `${name === "" ? "artifact" : name}${isFolder ? ".tar" : ""}`;
}
