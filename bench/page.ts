import { writeFileSync } from "node:fs";
import type { Row } from "./stats.ts";

/** Writes docs/performance.md from one run. */
export function writePerformancePage(file: string, host: Record<string, string | number>, rows: Row[]): void {
  const lines = rows.map((row) => {
    const floor = row.floor === undefined ? "–" : `${row.floor} ${row.unit}: ${row.floorIs}`;
    return `| ${row.what} | ${row.value} ${row.unit} | ${floor} | ${row.bar} | ${row.holds ? "yes" : "**no**"} |`;
  });
  const text = `# Performance

Written by \`make bench-page\`; \`make bench\` measures the same without touching this page. Figures of one run on one host, each beside a floor that the
same run measured. Compare ratios, not milliseconds: the host was a shared one.

Host: ${host.cpu}, ${host.cores} cores, ${host.memoryMib} MiB, Linux ${String(host.kernel).split(".").slice(0, 2).join(".")}, QEMU ${host.qemu} under TCG (no hardware virtualisation), guests of 512 MiB and one
vCPU on the stock kernel, save where a row says otherwise.

| what | measured | floor | bar | met |
| --- | --- | --- | --- | --- |
${lines.join("\n")}

A command's stdout does not reach half of the raw port's rate. The raw port's writer makes one copy, into the port; a command's output is copied into a pipe and
out of it again before that, and under emulation the pipe between two processes alone costs more than the port: the same bytes through a
pipe and \`cat\`, with no protocol at all, are the second floor. Tried: a smaller pipe with smaller reads (a third slower), \`init_on_alloc=0\` (some 10 % faster, but it is
hardening), \`hardened_usercopy=off\` and \`mitigations=off\` (no more than that), and \`splice\` from the pipe into the port, which a first trial did not get to work (it returned 0). What gained
most (two to three times) is that emulated guests do not use \`rep movsb\`; it made the raw port faster too.
`;
  writeFileSync(file, text);
}
