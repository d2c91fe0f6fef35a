import type { Command } from "commander";
import { openContext } from "../context.ts";
import { printJson } from "../output.ts";

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("Check what firebreak needs of this host. Exit code 1 when something is missing.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const checks = await client.doctor();
      const isHealthy = checks.every((check) => check.ok || check.optional);
      if (asJson) printJson({ healthy: isHealthy, checks });
      else {
        const width = Math.max(...checks.map((check) => check.name.length));
        for (const check of checks) {
          process.stdout.write(`${check.ok ? "ok  " : "FAIL"}  ${check.name.padEnd(width)}  ${check.message}\n`);
          if (check.hint !== undefined) process.stdout.write(`${" ".repeat(width + 8)}${check.hint}\n`);
        }
      }
      if (!isHealthy) process.exitCode = 1;
    });
}
