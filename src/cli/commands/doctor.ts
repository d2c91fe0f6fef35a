import type { Command } from "commander";
import { openContext } from "../context.ts";
import { printJson } from "../output.ts";

/** Once for each kernel and VMM that takes a while: a guest is started in KVM, and heard. */
const LOOKING = "looking at this host, and trying KVM with a small guest";

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("Check what firebreak needs of this host. Exit code 1 when something is missing.")
    .option("--fix", "remove what no VM owns: processes, sockets and folders that a crash has left")
    .action(async ({ fix }: { fix?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const removed = fix ? await progress.during("removing what no VM owns", () => client.doctorFix()) : [];
      if (!asJson) for (const stray of removed) process.stdout.write(`removed ${stray}\n`);
      const checks = await progress.during(LOOKING, () => client.doctor());
      const isHealthy = checks.every((check) => check.ok || check.optional);
      if (asJson) printJson({ healthy: isHealthy, checks, ...(fix ? { removed } : {}) });
      else {
        const width = Math.max(...checks.map((check) => check.name.length));
        for (const check of checks) {
          // What works without it has not failed.
          const verdict = check.ok ? "ok  " : check.optional ? "-   " : "FAIL";
          process.stdout.write(`${verdict}  ${check.name.padEnd(width)}  ${check.message}\n`);
          if (check.hint !== undefined) process.stdout.write(`${" ".repeat(width + 8)}${check.hint}\n`);
        }
      }
      if (!isHealthy) process.exitCode = 1;
    });
}
