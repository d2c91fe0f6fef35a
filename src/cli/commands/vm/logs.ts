import type { Command } from "commander";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseCount } from "../../parse.ts";

export function addVmLogs(parent: Command): void {
  const command = parent
    .command("logs")
    .description("Print a VM's console: what its kernel and guest agent say. The last MiB is kept.")
    .argument("<vm>", "name or id")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --tail <n>", "the last N lines only")
    .action(async (name: string, options: { follow?: boolean; tail?: string }) => {
      const { client, asJson } = await openContext(command);
      const stream = await client.vms.logs(name, options.follow ?? false);
      stream.setEncoding("utf8");
      if (options.follow && !asJson && options.tail === undefined) {
        for await (const text of stream) process.stdout.write(clean(String(text)));
        return;
      }
      let text = "";
      for await (const chunk of stream) text += String(chunk);
      const lines = clean(text).split("\n");
      if (lines.at(-1) === "") lines.pop();
      const tail =
        options.tail === undefined ? lines : lines.slice(-parseCount("--tail", options.tail) || lines.length);
      if (asJson) printJson({ lines: tail });
      else if (tail.length > 0) process.stdout.write(`${tail.join("\n")}\n`);
    });
}

/** A guest's console may hold anything: what would move our terminal's cursor is taken out. */
function clean(text: string): string {
  return text.replaceAll("\r\n", "\n").split("\n").map(stripControl).join("\n");
}
