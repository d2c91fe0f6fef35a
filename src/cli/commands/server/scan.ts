import type { Command } from "commander";
import type { ServerScan } from "../../../contract/server.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

/** Something waits for an approval, or is dangerous: for CI. */
const EXIT_FOUND = 4;

export function addServerScan(parent: Command): void {
  const command = parent
    .command("scan")
    .summary("look at what MCP servers offer")
    .description(
      "Ask MCP servers what they offer, and say what there is to say of that: hidden text, orders to the model, names that shadow others, and what is not as it was approved. Ends with 4 when something is dangerous or waits for an approval.",
    )
    .argument("[servers...]", "names (default: all)")
    .action(async (names: string[]) => {
      const { client, asJson, progress } = await openContext(command);
      const all =
        names.length > 0
          ? names
          : (await client.servers.list()).filter(({ state }) => state !== "disabled").map(({ name }) => name);
      const scans: ServerScan[] = [];
      for (const name of all)
        scans.push(await client.servers.scan(name, { onProgress: progress.update }).finally(() => progress.clear()));
      if (asJson) printJson({ scans });
      else for (const scan of scans) process.stdout.write(`${describeScan(scan).join("\n")}\n`);
      if (scans.some(({ verdict, pending }) => verdict === "danger" || pending.length > 0))
        process.exitCode = EXIT_FOUND;
    });
}

/** What a server says has its hidden characters written out already. */
export function describeScan({ server, verdict, findings, pending, removed, refused }: ServerScan): string[] {
  const told = findings.filter(({ severity }) => severity !== "info");
  return [
    `${server}: ${verdict}${pending.length === 0 ? "" : `, ${pending.length} waiting for an approval`}`,
    ...told.map(
      ({ severity, kind, subject, message, where }) =>
        `  ${severity}  ${kind} ${subject}${where === "" ? "" : ` (${where})`}: ${message}`,
    ),
    ...refused.map(({ kind, name, why }) => `  never offered  ${kind} ${name}: ${why}`),
    ...removed.map(({ kind, name }) => `  gone  ${kind} ${name}`),
    ...pending.flatMap(({ kind, name, what, diff }) => [
      `  ${what}  ${kind} ${name}`,
      ...diff.map((line) => `    ${line}`),
    ]),
  ];
}
