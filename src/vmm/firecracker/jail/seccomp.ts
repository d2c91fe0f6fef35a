import { readdir, readFile } from "node:fs/promises";
import { FirebreakError } from "../../../errors/firebreak-error.ts";

/** SECCOMP_MODE_FILTER, as `Seccomp:` of /proc/PID/task/TID/status has it (proc(5)). */
const FILTERED = 2;

/**
 * Checks that each thread of a Firecracker whose machine runs has its system calls filtered by a filter that this daemon is not under itself (in a container
 * all processes have one): a Firecracker started with `--no-seccomp`, or built without filters, looks the same otherwise. Throws VMM_START_FAILED.
 */
export async function checkSeccomp(pid: number, proc = "/proc"): Promise<void> {
  const folder = `${proc}/${pid}/task`;
  const own = parseStatus(await readFile(`${proc}/self/status`, "utf8"));
  const threads = await readdir(folder).catch(() => []);
  if (threads.length === 0) throw new FirebreakError("VMM_START_FAILED", "Firecracker has ended at start");
  for (const thread of threads) {
    const text = await readFile(`${folder}/${thread}/status`, "utf8").catch(() => undefined);
    if (text === undefined) continue; // a thread that has ended since
    const status = parseStatus(text);
    // Kernels before 5.9 do not count filters.
    const hasOwn = status.filters === undefined || status.filters > (own.filters ?? 0);
    if (status.mode === FILTERED && hasOwn) continue;
    throw new FirebreakError("VMM_START_FAILED", `Firecracker's thread ${status.name} runs without a seccomp filter`, {
      hint: "Use a release of Firecracker (musl), without --no-seccomp: its experimental gnu builds filter nothing.",
    });
  }
}

/** Pure. A status without the line is of a kernel without seccomp. */
export function parseStatus(status: string): { mode: number; filters: number | undefined; name: string } {
  const filters = /^Seccomp_filters:\s*(\d+)$/m.exec(status)?.[1];
  return {
    mode: Number(/^Seccomp:\s*(\d+)$/m.exec(status)?.[1] ?? 0),
    filters: filters === undefined ? undefined : Number(filters),
    name: /^Name:\s*(.{1,64})$/m.exec(status)?.[1] ?? "?",
  };
}
