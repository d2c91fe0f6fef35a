import { chmod, chown, link, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { AttachedDrive, MachineConfig } from "../driver.ts";
import { attachedDevice, attachedIds, attachedNode, EXCHANGE_FD } from "./command-line.ts";
import type { QmpClient } from "./qmp.ts";

type ExchangeConfig = Pick<MachineConfig, "exchangeDir" | "uid">;

/** QEMU takes a SCSI device away at once, whatever its guest does with it; it says so a moment later. */
const UNPLUG_DEADLINE_MS = 5_000;
const PAUSE_MS = 5;

/**
 * Gives QEMU's guest another drive. QEMU's user reaches no file of ours: the drive has a second name in the folder that QEMU inherited
 * for as long as it takes to open it, and only a writable one is that user's.
 */
export async function plugIn(qmp: QmpClient, config: ExchangeConfig, drive: AttachedDrive): Promise<void> {
  const { device, node } = attachedIds(drive.serial);
  if (!(await hasNode(qmp, node))) await openNode(qmp, config, drive);
  if (await hasDevice(qmp, device)) return;
  try {
    await qmp.execute("device_add", attachedDevice(drive));
  } catch (error) {
    await removeNode(qmp, node);
    throw explainRefusal(error);
  }
}

async function openNode(qmp: QmpClient, config: ExchangeConfig, drive: AttachedDrive): Promise<void> {
  const { exchangeDir, uid } = config;
  if (exchangeDir === undefined)
    throw new FirebreakError("INTERNAL", "a machine without an exchange folder is given no drives");
  await mkdir(exchangeDir, { recursive: true, mode: 0o711 });
  const name = attachedIds(drive.serial).node;
  const file = path.join(exchangeDir, name);
  await rm(file, { force: true });
  if (process.getuid?.() === 0) {
    await chown(drive.path, drive.readOnly ? 0 : uid, drive.readOnly ? 0 : uid);
    await chmod(drive.path, drive.readOnly ? 0o444 : 0o600);
  }
  await link(drive.path, file);
  try {
    await qmp.execute("blockdev-add", attachedNode(drive, `/proc/self/fd/${EXCHANGE_FD}/${name}`));
  } finally {
    await rm(file, { force: true });
  }
}

/** Takes a drive away, with or without its guest. */
export async function unplug(qmp: QmpClient, serial: string): Promise<void> {
  const { device, node } = attachedIds(serial);
  if (await hasDevice(qmp, device)) {
    await qmp.execute("device_del", { id: device });
    for (const deadline = Date.now() + UNPLUG_DEADLINE_MS; await hasDevice(qmp, device); await sleep(PAUSE_MS)) {
      if (Date.now() > deadline)
        throw new FirebreakError("VMM_PROTOCOL_ERROR", "QEMU does not take the drive away from its guest");
    }
  }
  await removeNode(qmp, node);
}

export function isPluggedIn(qmp: QmpClient, serial: string): Promise<boolean> {
  return hasNode(qmp, attachedIds(serial).node);
}

/** The node is free a moment after its device has gone. */
async function removeNode(qmp: QmpClient, node: string): Promise<void> {
  for (const deadline = Date.now() + UNPLUG_DEADLINE_MS; await hasNode(qmp, node); await sleep(PAUSE_MS)) {
    const refused = await qmp.execute("blockdev-del", { "node-name": node }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refused !== undefined && Date.now() > deadline) throw refused;
  }
}

async function hasNode(qmp: QmpClient, node: string): Promise<boolean> {
  return (await namesIn(qmp.execute("query-named-block-nodes", { flat: true }), "node-name")).includes(node);
}

async function hasDevice(qmp: QmpClient, device: string): Promise<boolean> {
  return (await namesIn(qmp.execute("qom-list", { path: "/machine/peripheral" }), "name")).includes(device);
}

/** A VMM that its guest has taken over may answer anything. */
async function namesIn(answer: Promise<unknown>, key: string): Promise<unknown[]> {
  const list = await answer;
  return Array.isArray(list) ? list.map((entry) => (entry as Record<string, unknown> | null)?.[key]) : [];
}

/** A VM that was started by an earlier firebreak has no controller. */
function explainRefusal(error: unknown): unknown {
  if (!(error instanceof FirebreakError) || !/Bus 'attached\.0' not found/.test(error.message)) return error;
  return new FirebreakError("DRIVE_UNSUPPORTED", "the VM was started by an earlier firebreak, and takes no drives", {
    cause: error,
    hint: "Stop it and start it again.",
  });
}
