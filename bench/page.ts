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

Host: ${host.cpu}, ${host.cores} cores, ${host.memoryMib} MiB, Linux ${host.kernel}, QEMU ${host.qemu} under TCG (no hardware virtualisation), guests of 512 MiB and one
vCPU on the stock kernel.

| what | measured | floor | bar | met |
| --- | --- | --- | --- | --- |
${lines.join("\n")}
`;
  writeFileSync(file, text);
}
