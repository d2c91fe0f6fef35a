import type { Command } from "commander";
import type { EgressEvent } from "../../../contract/egress.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";
import { parseCount } from "../../parse.ts";

interface LogOptions {
  follow?: boolean;
  after?: string;
  limit?: string;
}

export function addEgressLog(parent: Command): void {
  const command = parent
    .command("log")
    .description(
      "Print what VMs have tried to reach and what became of it, the newest last. With --json --follow a line of JSON each.",
    )
    .argument("[vm]", "name or id; an id also of a deleted VM")
    .option("-f, --follow", "go on with what comes; a connection is told of when it begins and when it has ended")
    .option("--after <id>", "those after this event only")
    .option("-n, --limit <n>", "at most so many (default: 200)")
    .action(async (vm: string | undefined, options: LogOptions) => {
      const { client, asJson } = await openContext(command);
      const after = options.after === undefined ? undefined : parseCount("--after", options.after);
      const print = (event: EgressEvent) =>
        process.stdout.write(`${asJson ? JSON.stringify(event) : formatEvent(event)}\n`);
      if (options.follow) {
        for await (const line of client.egress.follow({ vm, after })) {
          if ("event" in line) print(line.event);
          else if (asJson) process.stdout.write(`${JSON.stringify(line)}\n`);
          else process.stderr.write(`${line.skipped} were missed\n`);
        }
        return;
      }
      const limit = options.limit === undefined ? undefined : parseCount("--limit", options.limit);
      const page = await client.egress.list({ vm, after, limit });
      if (asJson) return printJson(page);
      for (const event of page.events) print(event);
      const last = page.events.at(-1);
      if (page.more && last !== undefined) process.stderr.write(`There are more: --after ${last.id}\n`);
    });
}

function formatEvent(event: EgressEvent): string {
  const { name, address, port, rule, why, count, durationMs } = event;
  const place = `${name ?? address ?? ""}${port === undefined ? "" : `:${port}`}`;
  const isConnection = event.verdict === "allowed";
  const traffic = `sent ${formatBytes(event.sentBytes)}, received ${formatBytes(event.receivedBytes)}`;
  const facts = [
    name !== undefined && address !== undefined ? `at ${address}` : undefined,
    rule === undefined ? undefined : `rule ${rule}`,
    isConnection && event.state === "open" ? "open" : undefined,
    isConnection && event.state === "closed" ? `${traffic} in ${durationMs ?? 0} ms` : undefined,
    why,
    count > 1 ? `${count} times` : undefined,
  ].filter((fact) => fact !== undefined);
  const line = [event.at, event.vm.name, event.verdict, event.protocol, place, facts.join("; ")];
  return stripControl(line.filter((word) => word !== "").join("  "));
}
