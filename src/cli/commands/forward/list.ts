import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { hostEnd } from "../../forward-spec.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addForwardList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List port forwards, of one VM or of all.")
    .argument("[vm]", "name or id")
    .action(async (vm: string | undefined) => {
      const { client, asJson } = await openContext(command);
      const forwards = await client.forwards.list(vm);
      if (asJson) return printJson({ forwards });
      if (forwards.length === 0)
        return void process.stdout.write("No forwards. Make one: firebreak forward create VM 8080:80\n");
      printTable(
        ["ID", "VM", "HOST", "GUEST PORT", "STATE", "OPEN", "AGE"],
        forwards.map((forward) => [
          forward.id,
          forward.vm.name,
          hostEnd(forward),
          String(forward.guestPort),
          forward.state,
          String(forward.connections.open),
          formatAge(forward.createdAt),
        ]),
      );
    });
}
