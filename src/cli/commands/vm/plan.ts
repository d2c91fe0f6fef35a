import { Argument, type Command } from "commander";
import { PLANNED_STATES, type PlanRequest } from "../../../contract/vm.ts";
import { describeSteps } from "../../../mcp/plans.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmPlan(parent: Command): void {
  const command = parent
    .command("plan")
    .summary("what bringing a VM to a state would do")
    .description(
      "Print the steps that would bring a VM to a state, and do none of them; absent is what 'vm delete' brings it to.",
    )
    .argument("<vm>", "name or id")
    .addArgument(new Argument("<state>", "what it is to be").choices(PLANNED_STATES))
    .action(async (name: string, state: PlanRequest["state"]) => {
      const { client, asJson } = await openContext(command);
      const plan = await client.vms.plan(name, { state });
      if (asJson) return printJson(plan);
      const steps = describeSteps(plan.steps);
      process.stdout.write(steps.length === 0 ? "nothing to do\n" : `${steps.join("\n")}\n`);
    });
}
