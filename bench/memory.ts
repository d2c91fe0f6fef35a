import { readFileSync } from "node:fs";

const KIB_PER_MIB = 1024;

/** What a VMM has of the host's memory (proc_pid_smaps(5)), MiB. */
export interface ProcessMemory {
  rssMib: number;
  /** Pages that several processes have count as a part for each. */
  pssMib: number;
  /** Of the resident memory, the pages of the guest that are still the template's. */
  sharedMib: number;
}

export function readMemory(pid: number): ProcessMemory {
  const total = sumFields(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  const guest = sumFields(guestMappings(readFileSync(`/proc/${pid}/smaps`, "utf8")));
  const of = (sums: Map<string, number>, name: string) => (sums.get(name) ?? 0) / KIB_PER_MIB;
  return {
    rssMib: of(total, "Rss"),
    pssMib: of(total, "Pss"),
    sharedMib: of(guest, "Shared_Clean") + of(guest, "Shared_Dirty"),
  };
}

/** The parts of an smaps file that tell of the guest's memory, which a fork maps from a memfd. */
function guestMappings(smaps: string): string {
  const mappings = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return mappings.filter((mapping) => mapping.split("\n", 1)[0]?.includes("/memfd:")).join("");
}

function sumFields(text: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [, name, kib] of text.matchAll(/^(\w+):\s+(\d+) kB$/gm))
    sums.set(name as string, (sums.get(name as string) ?? 0) + Number(kib));
  return sums;
}
