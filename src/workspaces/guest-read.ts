import type { Readable } from "node:stream";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";

/** A guest that sends nothing for so long has stopped: a stop of its VM must not wait for it for ever. */
const SILENCE_MS = 60_000;

/** The tar stream of a directory in a guest; undefined when there is none. */
export async function openGuestArchive(
  client: GuestClient,
  guestPath: string,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Buffer> | undefined> {
  const options = signal === undefined ? {} : { signal };
  const info = await client.stat(guestPath, true, options).catch((error: unknown) => {
    if (error instanceof FirebreakError && error.code === "FILE_NOT_FOUND") return undefined;
    throw error;
  });
  if (info === undefined) return undefined;
  if (info.type !== "directory")
    throw new FirebreakError("FILE_NOT_A_DIRECTORY", `${guestPath} is no directory in the VM`);
  return watched(await client.readArchive(guestPath, options), signal);
}

/** Ends with an error when the guest falls silent or whoever waits gives up. */
async function* watched(stream: Readable, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const onAbort = () => stream.destroy(new FirebreakError("OPERATION_CANCELED", "the sync was given up"));
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const onSilence = () =>
    stream.destroy(
      new FirebreakError("GUEST_UNREACHABLE", `the guest sent nothing of its workspace for ${SILENCE_MS / 1000} s`),
    );
  let timer = setTimeout(onSilence, SILENCE_MS);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      yield chunk;
      timer = setTimeout(onSilence, SILENCE_MS);
    }
  } catch (error) {
    const known = toFirebreakError(error);
    if (known.code !== "INTERNAL") throw known;
    throw new FirebreakError("CHANNEL_LOST", `reading the workspace from the guest broke off: ${known.message}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}
