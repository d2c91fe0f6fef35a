import { PassThrough } from "node:stream";
import type { VmClient } from "../vm-client.ts";
import type { OutputSink } from "./output-capture.ts";

/** Long outputs are kept on the VM's disk: /run would take the VM's memory. */
export const SAVED_OUTPUT_DIR = "/var/tmp/firebreak/output";
/** Most that is kept of one stream of one command. */
export const MAX_SAVED_BYTES = 64 * 1024 * 1024;
/** Most that is kept in one VM; the oldest go first. */
export const MAX_SAVED_TOTAL_BYTES = 256 * 1024 * 1024;

export interface SavedOutputOptions {
  client: VmClient;
  vm: string;
  path: string;
  signal: AbortSignal;
}

/** A file in the VM that takes a stream of output while it comes. Nothing of it is left when the call is given up. */
export function openSavedOutput({ client, vm, path, signal }: SavedOutputOptions): OutputSink {
  const body = new PassThrough({ highWaterMark: 256 * 1024 });
  body.on("error", () => {}); // told by the write's own failure
  const written = client.files.write(vm, path, body, { mode: "0600", parents: true }, { signal }).then(
    (stat) => stat.sizeBytes,
    () => {
      body.destroy();
      return undefined;
    },
  );
  return {
    path,
    write: async (bytes) => {
      if (!body.destroyed && !body.write(bytes)) await waitForRoom(body);
      return !body.destroyed;
    },
    end: () => {
      body.end();
      return written;
    },
  };
}

function waitForRoom(body: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      body.off("drain", done);
      body.off("close", done);
      resolve();
    };
    body.once("drain", done);
    body.once("close", done);
    if (body.destroyed) done();
  });
}

/** Deletes the oldest saved outputs of a VM beyond the bound. Failures are left to the next time. */
export async function pruneSavedOutput(client: VmClient, vm: string, signal: AbortSignal): Promise<void> {
  try {
    const { entries } = await client.files.list(vm, SAVED_OUTPUT_DIR, { limit: 10_000 }, { signal });
    const newestFirst = entries.filter(({ type }) => type === "file").sort((a, b) => b.mtimeMs - a.mtimeMs);
    let total = 0;
    for (const entry of newestFirst) {
      total += entry.sizeBytes;
      if (total <= MAX_SAVED_TOTAL_BYTES) continue;
      await client.files.delete(vm, `${SAVED_OUTPUT_DIR}/${entry.name}`, false, { signal });
    }
  } catch {
    // The command's own result matters more.
  }
}
