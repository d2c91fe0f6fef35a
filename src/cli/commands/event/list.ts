import type { Command } from "commander";
import type { VmEvent } from "../../../contract/event.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseCount } from "../../parse.ts";

interface EventOptions {
  follow?: boolean;
  after?: string;
  limit?: string;
}

/** Makes a command print events; its argument, where it has one, is a VM. */
export function addEventList(command: Command): void {
  command
    .description(
      "Print events, the oldest first: state changes with their reasons. With --json --follow a line of JSON each.",
    )
    .option("-f, --follow", "go on with those that come; none is missed and none comes twice")
    .option("--after <id>", "those after this event only; 0 for all from the first")
    .option("-n, --limit <n>", "at most so many, the newest unless --after says where to begin (not with --follow)")
    .action(async (vm: string | undefined, options: EventOptions) => {
      const { client, asJson } = await openContext(command);
      const after = options.after === undefined ? undefined : parseCount("--after", options.after);
      if (options.follow) {
        for await (const event of client.events.follow({ vm, after }))
          process.stdout.write(`${asJson ? JSON.stringify(event) : formatEvent(event)}\n`);
        return;
      }
      const limit = options.limit === undefined ? undefined : parseCount("--limit", options.limit);
      const page = await client.events.list({ vm, after, limit });
      if (asJson) return printJson(page);
      for (const event of page.events) process.stdout.write(`${formatEvent(event)}\n`);
      const last = page.events.at(-1);
      if (page.more && last !== undefined) process.stderr.write(`There are more: --after ${last.id}\n`);
    });
}

function formatEvent({ at, vm, vmId, kind, data }: VmEvent): string {
  const facts = Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return stripControl([at, vm === "" ? vmId : vm, kind, ...facts].join("  "));
}
