import { writeFileSync } from "node:fs";
import { PUBLISHED } from "./published.ts";
import type { Row } from "./stats.ts";

/** Writes docs/performance.md from one run; benches that `failed` in it are named. */
export function writePerformancePage(
  file: string,
  host: Record<string, string | number>,
  rows: Row[],
  failed: readonly { name: string; reason: string }[],
): void {
  const missing = failed.map(({ name, reason }) => `\`${name}\` (${reason})`).join(", ");
  const measured = rows.map((row) => {
    const note = row.note === undefined ? "" : `; ${row.note}`;
    const floor = row.floor === undefined ? "–" : `${row.floor} ${row.unit}: ${row.floorIs}`;
    return `| ${row.what} | ${row.value} ${row.unit}${note} | ${floor} | ${row.bar} | ${row.holds ? "yes" : "**no**"} |`;
  });
  const published = PUBLISHED.map(({ system, figure, conditions }) => `| ${system} | ${figure} | ${conditions} |`);
  const text = `# Performance

Figures of one run on one host, each beside a floor that the same run measured, by turns. Compare ratios, not milliseconds.

Host: ${host.cpu}, ${host.cores} cores, ${host.memoryMib} MiB, Linux ${host.kernel}, QEMU ${host.qemu} under TCG (no hardware virtualisation); a shared one. Guests have one vCPU and, save where a
row says otherwise, the kernel \`${host.guestKernel}\`; those of the rows on forks (down to the snapshot's) have 256 MiB, \`firebreak run\` and the others the default of 512 MiB.

| what | measured | floor | bar | met |
| --- | --- | --- | --- | --- |
${measured.join("\n")}
${missing === "" ? "" : `\n**Not whole in this run**, which failed at them: ${missing}.\n`}
![The samples of each row beside those of its floor](performance.svg)

## How it is measured

\`\`\`
make bench        # prints the rows; bench/results/latest.json and latest.svg have every sample. Exit code 1 when a bar is not met
make bench-page   # the same, and writes this page and its picture
\`\`\`

It takes some minutes, and many more the first time: image and kernel are built then (\`$FIREBREAK_TEST_HOME\` keeps them). A part of it:
\`make bench BENCHES=forks\`.

- The floor of a fork is QEMU alone (\`bench/restore-floor.ts\`): the driver's own command line restores the very template that the daemon forks from,
  from QEMU's start until the guest agent has answered its first request. No daemon, store, user, identity or command; the memory is lent
  and the drive copied beforehand, and QEMU dials sockets that listen already, so that nobody polls.
- The gateway's floor for a start is the same for its server's own snapshot. \`mcp-proxy\` and \`supergateway\` come from npm, in the versions of \`bench/peers/package-lock.json\`, into a temporary
  folder, and wrap the same server on the host: no VM takes its part of the CPUs while they answer.
- What a task prints goes from the bench through a command in its VM to the task's own, and from there by the log and the stream to the page, which notes two frames after it has the line; the browser is headless and has no graphics processor.
- The daemon is a process of its own, started as users start it. \`vm create\` and resume are timed by a client on its socket, up to the end of
  \`true\`; \`firebreak run\` from the shell script's start to its exit.
- PSS is that of the VMMs alone, five seconds after each has answered. The template's memory counts there as far as it is mapped, a part for each fork.
- How long a VM stands still for a snapshot is the daemon's own figure, from QEMU's events.

## Figures of others

**Not measured here**: as they were published, on other hosts and by other definitions. They compare neither with each other nor with the table
above, least of all the milliseconds of hardware virtualisation with those of emulation.

| system | figure | conditions |
| --- | --- | --- |
${published.join("\n")}

## Where stdout is lost

A command's stdout does not reach half of the raw port's rate. The raw port's writer makes one copy, into the port; a command's output is copied into a pipe and
out of it again before that, and under emulation the pipe between two processes alone costs more than the port: the same bytes through a
pipe and \`cat\`, with no protocol at all, are the second floor. Tried: a smaller pipe with smaller reads (a third slower), \`init_on_alloc=0\` (some 10 % faster, but it is
hardening), \`hardened_usercopy=off\` and \`mitigations=off\` (no more than that), and \`splice\` from the pipe into the port, which a first trial did not get to work (it returned 0). What gained
most (two to three times) is that emulated guests do not use \`rep movsb\`; it made the raw port faster too.
`;
  writeFileSync(file, text);
}
