import { createHash } from "node:crypto";
import { copyFile, open, readFile, truncate, writeFile } from "node:fs/promises";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { MachineConfig, SavedMachine, SaveResult, SaveTarget } from "../../src/vmm/driver.ts";

const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");

/** What a fake machine's save leaves: files of the right sizes whose digests are right. */
export async function fakeSave(config: MachineConfig, target: SaveTarget): Promise<SaveResult> {
  const startedMs = performance.now();
  for (const copy of target.copies) {
    const drive = config.drives.find(({ serial }) => serial === copy.serial);
    await copyFile(drive?.path ?? "", copy.path);
  }
  await writeFile(target.memoryPath, "memory");
  await truncate(target.memoryPath, config.memoryMib * 1024 * 1024);
  await writeFile(target.statePath, `state of ${config.vmId}`);
  return {
    memorySha256: sha256("memory"),
    memoryDataBytes: 6,
    stateSha256: sha256(await readFile(target.statePath)),
    stateSizeBytes: (await readFile(target.statePath)).length,
    stoppedMs: performance.now() - startedMs,
  };
}

export async function checkFakeSave(saved: SavedMachine): Promise<void> {
  const [state, memory] = await Promise.all([
    readFile(saved.statePath).catch(() => undefined),
    readStart(saved.memoryPath).catch(() => undefined),
  ]);
  if (state === undefined || sha256(state) !== saved.stateSha256)
    throw new FirebreakError("SNAPSHOT_CORRUPT", "the fake state is another");
  if (memory === undefined || sha256(memory) !== saved.memorySha256)
    throw new FirebreakError("SNAPSHOT_CORRUPT", "the fake memory is another");
}

/** What a fake memory holds: the rest is a hole. */
async function readStart(file: string): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
    const end = buffer.indexOf(0);
    return buffer.subarray(0, end === -1 ? bytesRead : end);
  } finally {
    await handle.close();
  }
}
