import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { runCommand } from "../../platform/process.ts";
import type { MachineConfig, SavedMachine, SaveResult, SaveTarget } from "../driver.ts";
import type { FirecrackerApi } from "./api-client.ts";
import { MAX_STATE_BYTES, type SavePlace } from "./jail/saves.ts";
import { saveRequest, stateRequest } from "./requests.ts";
import { hasHugePages, readState } from "./state.ts";

/** Firecracker writes all of the memory before it answers: 32 GiB to a slow disk. */
const SAVE_DEADLINE_MS = 10 * 60_000;

const digestSchema = z.object({ sha256: z.string(), dataBytes: z.number().int().min(0) });

/**
 * Saves a machine: it stands still while Firecracker writes its memory and while its drives are copied, which have to be of the same moment. If anything
 * fails it goes on as it was. Throws SNAPSHOT_INCOMPATIBLE for one on huge pages, SNAPSHOT_FAILED, HOST_DISK_FULL, VM_CRASHED or OPERATION_CANCELED.
 */
export async function saveMachine(
  api: FirecrackerApi,
  agentPath: string,
  config: MachineConfig,
  target: SaveTarget,
  place: SavePlace,
  signal?: AbortSignal,
): Promise<SaveResult> {
  if (await hasHugePages(api)) throw hugePagesAreNotRestored();
  const wasRunning = (await readState(api)) === "Running";
  const stoppedAt = performance.now();
  if (wasRunning) await api.call(stateRequest("Paused"));
  let isSaved = false;
  let stoppedMs: number;
  try {
    signal?.throwIfAborted();
    await place.open();
    try {
      await api.call(saveRequest({ memory: place.memory, state: place.state }), { deadlineMs: SAVE_DEADLINE_MS });
    } finally {
      await place.take();
    }
    for (const copy of target.copies) {
      const drive = config.drives.find(({ serial }) => serial === copy.serial);
      if (drive === undefined) throw new FirebreakError("INTERNAL", `the VM has no drive ${copy.serial}`);
      await runCommand("cp", ["--reflink=auto", "--sparse=always", "--", drive.path, copy.path], signal && { signal });
    }
    isSaved = true;
  } catch (error) {
    throw describeFailure(error);
  } finally {
    const goesOn = isSaved ? target.afterwards === "continue" : wasRunning;
    if (goesOn) await api.call(stateRequest("Resumed")).catch(() => {}); // a VMM that is gone is heard of by who waits for its end
    stoppedMs = performance.now() - stoppedAt;
  }
  const [memory, state] = await Promise.all([
    digestMemory(agentPath, target.memoryPath),
    digestState(target.statePath),
  ]);
  return { memorySha256: memory.sha256, memoryDataBytes: memory.dataBytes, ...state, stoppedMs };
}

/** A private mapping of a file has no huge pages: Firecracker restores such a machine by UFFD alone (docs/hugepages.md of its repository), and says so only then. */
function hugePagesAreNotRestored(): FirebreakError {
  return new FirebreakError("SNAPSHOT_INCOMPATIBLE", "Firecracker cannot restore a VM that is on huge pages", {
    hint: "VMs that are to be saved are made without huge_pages in [firecracker] of firebreak.toml, or with the driver qemu.",
  });
}

function describeFailure(error: unknown): FirebreakError {
  const { message } = toFirebreakError(error);
  if (/No space left on device|Disk quota exceeded|os error 28\b/.test(message)) {
    return new FirebreakError("HOST_DISK_FULL", "no space is left on the host's disk for the snapshot", {
      cause: error,
    });
  }
  const { code } = toFirebreakError(error);
  if (code !== "VMM_PROTOCOL_ERROR" && code !== "TOOL_FAILED") return toFirebreakError(error);
  return new FirebreakError("SNAPSHOT_FAILED", `the VM could not be saved: ${message}`, { cause: error });
}

/** Compares both files with their digests. Throws SNAPSHOT_CORRUPT. */
export async function checkSaved(agentPath: string, saved: SavedMachine): Promise<void> {
  const [memory, state] = await Promise.all([
    digestMemory(agentPath, saved.memoryPath).catch(() => undefined),
    digestState(saved.statePath).catch(() => undefined),
  ]);
  const corrupt = (file: string) =>
    new FirebreakError("SNAPSHOT_CORRUPT", `${file} is not what was saved`, { details: { file } });
  if (state?.stateSha256 !== saved.stateSha256) throw corrupt(saved.statePath);
  if (memory?.sha256 !== saved.memorySha256) throw corrupt(saved.memoryPath);
}

async function digestMemory(agentPath: string, file: string): Promise<{ sha256: string; dataBytes: number }> {
  const { stdout } = await runCommand(agentPath, ["digest-memory", file]);
  return digestSchema.parse(JSON.parse(stdout));
}

async function digestState(file: string): Promise<{ stateSha256: string; stateSizeBytes: number }> {
  const { size } = await stat(file);
  if (size > MAX_STATE_BYTES) throw new FirebreakError("SNAPSHOT_FAILED", `a machine's state has ${size} bytes`);
  const bytes = await readFile(file);
  return { stateSha256: createHash("sha256").update(bytes).digest("hex"), stateSizeBytes: size };
}
