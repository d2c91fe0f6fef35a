import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ToolContext } from "../tool.ts";

/** How often a command is asked how much of its input it has taken, ms. */
const ASK_MS = 30;

/**
 * Sends a command in the background some input, and its end if need be. Returns how much of it the command's pipe has taken: less than all
 * when the command does not read, or has ended, within `deadlineMs`.
 */
export async function feed(
  vm: string,
  id: string,
  bytes: Buffer,
  { eof, deadlineMs }: { eof: boolean; deadlineMs: number },
  { client, signal, onProgress }: ToolContext,
): Promise<number> {
  const { outputBytes } = await client.execs.get(vm, id, { signal });
  const countTaken = async (): Promise<number> => {
    const look = await client.execs.attach(vm, id, outputBytes, false, { signal });
    try {
      // The count comes before the output, which is not of interest.
      for await (const _ of look.output()) break;
      return look.started?.stdinBytes ?? 0;
    } finally {
      look.close();
    }
  };
  const isRunning = async () => (await client.execs.get(vm, id, { signal })).state === "running";
  const before = await countTaken();
  const stream = await client.execs.attach(vm, id, outputBytes, true, { signal, onProgress });
  let isRefused = false;
  const drained = (async () => {
    for await (const _ of stream.output());
  })().catch(() => {
    isRefused = true;
  });
  try {
    const sent = (async () => {
      if (bytes.length > 0) await stream.writeStdin(bytes);
      if (eof) stream.endStdin();
    })();
    sent.catch(() => {});
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      await sleep(ASK_MS, undefined, { signal });
      const accepted = Math.min((await countTaken()) - before, bytes.length);
      if (accepted < bytes.length && (await isRunning())) {
        if (isRefused) throw refused(id);
        if (performance.now() < deadline) continue;
      }
      // The guest hears in order: once it has answered this, it has heard of the input's end.
      if (eof) await countTaken();
      return accepted;
    }
  } finally {
    stream.close();
    await drained;
  }
}

function refused(id: string): FirebreakError {
  return new FirebreakError("EXEC_STATE_CONFLICT", `the command ${id} has no input that could be written to`, {
    hint: "Start it with background: true and keep_stdin: true.",
  });
}
