import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** Ticks of utime and stime in /proc/PID/stat: USER_HZ, which Linux keeps at 100 on every architecture of ours (proc(5)). */
const TICK_MS = 10;

export interface ProcessUsage {
  /** User and system time since its start. */
  cpuMs: number;
  rssBytes: number;
  /** Its share of what it shares; unknown where the kernel does not tell. */
  pssBytes?: number;
}

/** What a process uses; undefined when it has ended. */
export async function readProcessUsage(pid: number): Promise<ProcessUsage | undefined> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
  const [stat, status, rollup] = await Promise.all([read("stat"), read("status"), read("smaps_rollup")]);
  // The name before the last ')' may hold anything; utime and stime are fields 14 and 15, counted from 1.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [utime, stime] = [Number(fields[11]), Number(fields[12])];
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  if (rss === undefined || Number.isNaN(utime) || Number.isNaN(stime)) return undefined;
  const pss = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
  return {
    cpuMs: (utime + stime) * TICK_MS,
    rssBytes: Number(rss) * 1024,
    ...(pss === undefined ? {} : { pssBytes: Number(pss) * 1024 }),
  };
}

/**
 * Memory that a process has to itself, bytes: what it has written to. Of a private mapping that is shared until it is written to, the rest does
 * not count. Undefined when the process has ended.
 */
export function readOwnMemoryBytes(pid: number): number | undefined {
  try {
    const own = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return own === undefined ? undefined : Number(own) * 1024;
  } catch {
    return undefined;
  }
}
