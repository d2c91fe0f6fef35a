import type { Command } from "commander";
import type { WaitRequest } from "../../../contract/vm.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";

/** What `vm wait` waits for when it is not told: that the VM has ended. */
const ENDED = "stopped,crashed,deleted";

export function addVmWait(parent: Command): void {
  const command = parent
    .command("wait")
    .description("Wait until a VM is in a state, and print which. Exit code 124 when it takes longer than --timeout.")
    .argument("<vm>", "name or id")
    .option("--for <states>", "states, separated by commas; deleted is one, too", ENDED)
    .option("-t, --timeout <time>", "how long, such as 30s (default: for ever)")
    .action(async (name: string, options: { for: string; timeout?: string }) => {
      const { client, asJson, progress } = await openContext(command);
      const request = {
        for: options.for.split(",").map((state) => state.trim()) as WaitRequest["for"],
        ...(options.timeout === undefined ? {} : { timeoutMs: parseDurationMs("--timeout", options.timeout) }),
      };
      progress.update({ step: "wait", message: `waiting for ${name} to be ${request.for.join(" or ")}` });
      const result = await client.vms.wait(name, request).finally(() => progress.clear());
      if (asJson) printJson(result);
      else process.stdout.write(`${result.state}\n`);
    });
}
