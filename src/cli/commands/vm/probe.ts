import type { Command } from "commander";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { printJson, printTable } from "../../output.ts";

export function addVmProbe(parent: Command): void {
  const command = parent
    .command("probe")
    .description(
      "Try to get out of a VM, from within it, in the ways that are tried, and compare with its policy. Exits with 1 when something is not as that says.",
    )
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson, progress } = await openContext(command);
      const result = await client.policies.probe(name, { onProgress: progress.update }).finally(() => progress.clear());
      process.exitCode = result.isTight ? 0 : 1;
      if (asJson) return printJson(result);
      printTable(
        ["", "PROBE", "TARGET", "FOUND", "WHY"],
        result.findings.map(({ probe, target, isOut, isExpected, detail }) => [
          isExpected ? "ok" : "WRONG",
          probe,
          target,
          isOut ? "out" : "kept in",
          stripControl(detail),
        ]),
      );
    });
}
