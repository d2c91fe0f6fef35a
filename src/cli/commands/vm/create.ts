import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { announceForwards } from "../../forward-spec.ts";
import { toMounts } from "../../mount-spec.ts";
import { printJson } from "../../output.ts";
import { addNetworkOptions, type NetworkOptionValues, toNetwork, withPlaces } from "../network-options.ts";
import { printNewVm } from "../vm-facts.ts";
import { addLifetimeOptions, addVmOptions, toPublish, toVmCreate, type VmOptionValues } from "../vm-options.ts";
import { addWorkspaceOptions, toWorkspace, type WorkspaceOptionValues } from "../workspace-options.ts";

export function addVmCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("create and start a VM")
    .description("Create a VM and start it. It stays, with its disk, until it is deleted.")
    .argument("[name]", "a-z, 0-9 and '-'; made up when absent");
  addWorkspaceOptions(addNetworkOptions(addLifetimeOptions(addVmOptions(command))))
    .addHelpText(
      "after",
      `
Examples:
  $ firebreak vm create
  $ firebreak vm create build --memory 2G --cpus 2 --disk 10G --env CI=1
  $ firebreak vm create web --idle-timeout 10m --label team=infra --publish 8080:80
  $ firebreak vm create db --restart on-failure:5 --volume data:/var/lib/data
  $ firebreak vm create ci --allow registries --allow api.github.com
  $ firebreak vm create dev --workspace ./project --exclude node_modules
  $ firebreak vm create live --mount ./project:/src:rw --mount ~/data:/data
  $ firebreak vm create trial --max-lifetime 8h --on-expiry delete`,
    )
    .action(async (name: string | undefined, options: VmOptionValues & NetworkOptionValues & WorkspaceOptionValues) => {
      const { client, asJson, progress } = await openContext(command);
      const workspace = await toWorkspace(options);
      const request = {
        ...(name === undefined ? {} : { name }),
        ...toVmCreate(options),
        ...(await toNetwork(options, client)),
        ...toPublish(options),
        ...(await toMounts(options.mount)),
        ...(workspace === undefined ? {} : { workspace }),
      };
      const startedMs = performance.now();
      const vm = await withPlaces(options, () =>
        client.vms.create(request, { onProgress: progress.update }).finally(() => progress.clear()),
      );
      const createdMs = performance.now();
      const forwards = request.publish === undefined ? [] : await client.forwards.list(vm.id);
      if (asJson) return printJson({ ...vm, ...(request.publish === undefined ? {} : { forwards }) });
      printNewVm(vm, createdMs - startedMs);
      announceForwards(forwards);
    });
}
