import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { HostTree } from "../archive/host-tree.ts";
import { packTree } from "../archive/pack.ts";
import type { TarItem } from "../archive/tar-writer.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { describeFile } from "./host-scan.ts";
import type { Operation } from "./operations.ts";
import type { TreeFile } from "./tree.ts";

export interface GuestApplyOptions {
  guestPath: string;
  /** Directories of the guest with something in them that a sync does not see. */
  partial: ReadonlySet<string>;
  /** The receiver's path → the host's, where content comes from a path of another name. */
  sourceOf: (path: string) => string;
  signal?: AbortSignal;
  onBytes?: (bytes: number) => void;
}

/**
 * Makes the changes in a guest: deletions first, then one archive with everything else. Returns each file as it was sent, which may be newer than when the
 * directory was looked at.
 */
export async function applyToGuest(
  client: GuestClient,
  tree: HostTree,
  operations: readonly Operation[],
  options: GuestApplyOptions,
): Promise<Map<string, TreeFile>> {
  const { guestPath, signal } = options;
  const requests = signal === undefined ? {} : { signal };
  for (const { path, recursive } of planDeletions(operations, options.partial)) {
    throwIfAborted(signal);
    await client.deleteFile(`${guestPath}/${path}`, recursive, requests).catch((error: unknown) => {
      const code = error instanceof FirebreakError ? error.code : undefined;
      // Gone already; or something is left in it that is not of this sync.
      if (code !== "FILE_NOT_FOUND" && code !== "DIRECTORY_NOT_EMPTY") throw error;
    });
  }
  const sent = new Map<string, TreeFile>();
  const items = toItems(operations, options);
  let bytes = 0;
  const body = Readable.from(
    (async function* () {
      for await (const chunk of packTree(tree, items, (item, content) => recordFile(item, content, sent))) {
        throwIfAborted(signal);
        bytes += chunk.length;
        options.onBytes?.(bytes);
        yield chunk;
      }
    })(),
    { objectMode: false },
  );
  let failure: unknown;
  body.on("error", (error) => {
    failure = error;
  });
  await client.writeArchive(guestPath, body, requests).catch((error: unknown) => {
    // What broke the upload off counts, rather than that it broke off.
    throw failure ?? error;
  });
  return sent;
}

/** A directory that goes with all that is in it is one request. */
export function planDeletions(
  operations: readonly Operation[],
  partial: ReadonlySet<string>,
): { path: string; recursive: boolean }[] {
  const whole = new Set<string>();
  for (const operation of operations)
    if (operation.kind === "remove_folder" && !partial.has(operation.path)) whole.add(operation.path);
  const isCovered = (path: string) => {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1))
      if (whole.has(path.slice(0, end))) return true;
    return false;
  };
  return operations.flatMap((operation) => {
    const isRemoval = operation.kind === "remove" || operation.kind === "remove_folder";
    if (!isRemoval || isCovered(operation.path)) return [];
    return [{ path: operation.path, recursive: whole.has(operation.path) }];
  });
}

function* toItems(operations: readonly Operation[], options: GuestApplyOptions): Generator<TarItem> {
  for (const operation of operations) {
    if (operation.kind === "remove" || operation.kind === "remove_folder") continue;
    const name = operation.path;
    const path = Buffer.from(name);
    if (operation.kind === "put" && operation.node.type === "symlink")
      yield {
        path,
        type: "symlink",
        mode: 0o777,
        mtimeMs: 0,
        sizeBytes: 0,
        target: Buffer.from(operation.node.target),
      };
    else if (operation.kind === "make_folder" || (operation.kind === "set_mode" && operation.was.type === "directory"))
      yield { path, type: "directory", mode: operation.mode, mtimeMs: Date.now(), sizeBytes: 0 };
    else {
      const source = Buffer.from(options.sourceOf(name));
      yield { path, type: "file", mode: 0, mtimeMs: 0, sizeBytes: 0, source };
    }
  }
}

function recordFile(
  item: TarItem,
  content: { sizeBytes: number; mode: number; mtimeMs: number },
  sent: Map<string, TreeFile>,
) {
  const hash = createHash("sha256");
  return {
    update: (piece: Buffer) => void hash.update(piece),
    end: () => {
      const info = { mode: content.mode, size: content.sizeBytes, mtimeMs: content.mtimeMs };
      sent.set(item.path.toString("utf8"), describeFile(info, hash.digest("hex")));
    },
  };
}
