import type { Writable } from "node:stream";
import { encodeJsonFrame, FRAME, type Frame } from "../../contract/frames.ts";
import { execSpecSchema, type Progress } from "../../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { ExecSpec } from "../../guest/protocol.ts";
import { type ExecRelayOptions, readFrames, relayExec } from "../../vms/exec-relay.ts";
import type { VmService } from "../../vms/service.ts";
import { parseRequest } from "./responses.ts";

/** Exec frames between a caller and a VM, whatever carries them. */

export const DEFAULT_KILL_GRACE_MS = 2_000;

/** Runs the command that the first frame describes. */
export async function serveExec(
  vms: VmService,
  vm: string,
  input: AsyncIterable<Buffer>,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const frames = readFrames(input);
  const spec = parseRequest(execSpecSchema, await firstFrame(frames));
  await vms.use(vm, { signal, onProgress: progressTo(output) }, () =>
    relayExec(spec as ExecSpec, relayOptions(vms, vm, frames, output, signal, spec.killGraceMs)),
  );
}

/** Ends the output when the work is done; what goes wrong is the last frame. */
export async function endWithFrames(output: Writable, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!output.destroyed) output.write(encodeJsonFrame(FRAME.error, toFirebreakError(error).toBody()));
  }
  output.end();
}

export function progressTo(output: Writable): (progress: Progress) => void {
  return (progress) => void output.write(encodeJsonFrame(FRAME.progress, progress));
}

/** What SPEC holds. Throws INVALID_ARGUMENT. */
export async function firstFrame(frames: AsyncGenerator<Frame>): Promise<unknown> {
  const first = await frames.next();
  const frame = first.done ? undefined : first.value;
  if (frame?.type !== FRAME.spec) throw new FirebreakError("INVALID_ARGUMENT", "the first frame of an exec is SPEC");
  try {
    return JSON.parse(frame.payload.toString("utf8"));
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", "the SPEC frame is not JSON");
  }
}

export function relayOptions(
  vms: VmService,
  vm: string,
  input: AsyncIterable<Frame>,
  output: Writable,
  signal: AbortSignal,
  killGraceMs = DEFAULT_KILL_GRACE_MS,
): ExecRelayOptions {
  return { client: vms.live(vm).client, input, output, signal, killGraceMs, explainLoss: () => vms.explainLoss(vm) };
}
