import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { vmCreateSchema } from "../../src/contract/vm.ts";
import { toFirebreakError } from "../../src/errors/firebreak-error.ts";
import { type FaultCall, findVmms, watchFaultPoints } from "./fault-points.ts";
import { FAULT_KIND, openSavingService, type SavingService } from "./saving-service.ts";

/** What a fault strikes: the daemon itself, or every VMM that it has. */
export type Victim = "daemon" | "vmm";
export type Scenario = "template" | "fork" | "snapshot" | "restore" | "suspend" | "wake" | "attach" | "detach";

export interface FaultJob {
  folder: string;
  scenario: Scenario;
  /** None: the calls are counted. */
  victim?: Victim;
  at?: number;
  delayMs?: number;
}

/** The last line of a daemon that has not been killed. */
export interface FaultReport {
  calls: FaultCall[];
  error?: string;
  hasHung?: boolean;
}

/** A daemon that gets stuck must not stop the test. */
const STUCK_MS = 60_000;

/** What is done while a fault strikes. */
async function act(scenario: Scenario, { templates, vms, snapshots, drives, spec }: SavingService): Promise<unknown> {
  switch (scenario) {
    case "template":
      return templates.ensure(await spec());
    case "fork":
      return vms.create(vmCreateSchema.parse({ ...FAULT_KIND, name: "child" }));
    case "snapshot":
      return snapshots.create("source", "taken");
    case "restore":
      return snapshots.restore("warm");
    case "suspend":
      return vms.suspend("source");
    case "wake":
      return vms.start("source");
    case "attach":
      return drives.attach("source", { drive: "data", path: "/mnt/data" });
    case "detach":
      return drives.detach("source", "data", false);
  }
}

export const NOTES = ["/dev/shm/note", "/root/note"] as const;

/** One word in the guest's memory and on its disk. */
export async function writeNotes({ vms }: SavingService, vm: string, word: string): Promise<void> {
  await vms.use(vm, {}, async ({ client }) => {
    for (const note of NOTES) await client.writeFile(note, Readable.from([Buffer.from(word)]), {});
    await client.sync();
  });
}

/** What memory and disk say; what is not there is `-`. */
export function readNotes({ vms }: SavingService, vm: string): Promise<string[]> {
  return vms.use(vm, {}, async ({ client }) => {
    const read = async (note: string) => {
      try {
        return await text((await client.readFile(note, {})).body);
      } catch (error) {
        if (toFirebreakError(error).code === "FILE_NOT_FOUND") return "-";
        throw error;
      }
    };
    return [await read(NOTES[0]), await read(NOTES[1])];
  });
}

/** A daemon that reads its job from stdin, does it, and dies of it or reports. It is started before its job is known, which saves time. */
async function main(): Promise<void> {
  const points = watchFaultPoints();
  const line = await new Promise<string>((resolve) =>
    createInterface({ input: process.stdin })
      .once("line", resolve)
      .once("close", () => resolve("")),
  );
  if (line === "") return;
  const job = JSON.parse(line) as FaultJob;
  const service = await openSavingService(job.folder, points.watchStore);
  const strike = () => {
    if (job.victim === "daemon") process.kill(process.pid, "SIGKILL");
    else for (const pid of findVmms(service.paths.runtime)) process.kill(pid, "SIGKILL");
  };
  const stuck = setTimeout(() => report({ calls: points.calls, hasHung: true }), STUCK_MS);
  const { calls } = points;
  points.arm(service.paths.runtime, job.at, job.delayMs, strike);
  const error = await act(job.scenario, service).then(
    () => undefined,
    (thrown: unknown) => toFirebreakError(thrown).code,
  );
  points.hit("end");
  // Time for a fault at the end, and for the daemon to hear of its VMM's.
  if (job.at !== undefined) await sleep(100 + (job.delayMs ?? 0));
  clearTimeout(stuck);
  report({ calls, ...(error === undefined ? {} : { error }) });
}

function report(report: FaultReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

if (process.argv[1]?.endsWith("faulty-service.ts")) await main();
