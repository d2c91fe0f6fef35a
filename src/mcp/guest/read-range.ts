import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { FileStat } from "../../guest/protocol.ts";
import type { VmClient } from "../vm-client.ts";

export interface FileRange {
  stat: FileStat;
  bytes: Buffer;
  /** The file goes on after these bytes. */
  hasMore: boolean;
}

/** Reads part of a file in a VM into memory. Throws CHANNEL_LOST when the answer breaks off. */
export async function readRange(
  client: VmClient,
  vm: string,
  path: string,
  range: { offset: number; length: number },
  signal: AbortSignal,
): Promise<FileRange> {
  const { stat, body } = await client.files.read(vm, path, range, { signal });
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      // A guest that sends more than was asked for is not worth the memory.
      if (length > range.length)
        throw new FirebreakError("GUEST_PROTOCOL_ERROR", "the VM sent more than was asked for");
    }
  } catch (error) {
    if (error instanceof FirebreakError) throw error;
    if (signal.aborted) throw new FirebreakError("OPERATION_CANCELED", "the call was given up", { cause: error });
    throw new FirebreakError("CHANNEL_LOST", `reading ${path} broke off`, { cause: error, hint: "Try again." });
  }
  // Files of /proc say they have 0 bytes and go on all the same.
  const hasMore = length === range.length && range.offset + length !== stat.sizeBytes;
  return { stat, bytes: Buffer.concat(chunks), hasMore };
}
