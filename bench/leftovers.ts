import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type DaemonFixture, listProcesses } from "../test/support/daemon-fixture.ts";

/** What there is of an installation at one moment. */
export interface Inventory {
  vms: Set<string>;
  processes: Set<string>;
  /** Files and sockets in its folder. */
  files: Set<string>;
  /** Connections and listening sockets that the daemon has open. */
  openSockets: number;
  /** What else it has open. */
  openFiles: number;
}

export async function takeInventory({ client, folder }: DaemonFixture): Promise<Inventory> {
  const { pid } = await client.status();
  const open = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // it has been closed meanwhile
    }
  });
  const openSockets = open.filter((target) => target.startsWith("socket:")).length;
  return {
    vms: new Set((await client.vms.list()).map(({ name }) => name)),
    processes: new Set((await listProcesses(folder)).map((each) => `${each.pid} ${each.command.slice(0, 80)}`)),
    files: new Set(readdirSync(folder, { recursive: true, encoding: "utf8" })),
    openSockets,
    openFiles: open.length - openSockets,
  };
}

/** What is there now and was not before, in words, once nothing of it goes any more: connections are kept for a few seconds. */
export async function findLeftovers(fixture: DaemonFixture, before: Inventory, settleMs: number): Promise<string[]> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const left = compare(before, await takeInventory(fixture));
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(500);
  }
}

function compare(before: Inventory, after: Inventory): string[] {
  const added = (what: "vms" | "processes" | "files") =>
    [...after[what]].filter((each) => !before[what].has(each)).map((each) => `${what}: ${each}`);
  const more = (what: "openSockets" | "openFiles") =>
    after[what] > before[what] ? [`${after[what] - before[what]} more ${what}`] : [];
  return [...added("vms"), ...added("processes"), ...added("files"), ...more("openSockets"), ...more("openFiles")];
}
