import type { Command } from "commander";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { resolvePaths } from "../../platform/paths.ts";
import { isJson, openContext } from "../context.ts";
import { printJson } from "../output.ts";
import { includeInUserConfig, removeFromUserConfig, renderOwnConfig, writeOwnConfig } from "../ssh/write.ts";

interface SshConfigOptions {
  write?: boolean;
  remove?: boolean;
}

export function addSshConfig(program: Command): void {
  const command = program
    .command("ssh-config")
    .summary("let ssh, scp and editors reach VMs as firebreak-NAME")
    .description(
      "Print the entries with which ssh reaches VMs as firebreak-NAME, over the channel, without a network in the VM. With --write they go into a file of firebreak's own that ~/.ssh/config then includes. Editors that list hosts show the VMs of the last --write; ssh knows new ones at once.",
    )
    .argument("[vms...]", "names or ids (default: all)")
    .option("--write", "keep them, and have ~/.ssh/config include them; the first time a backup of it is made")
    .option("--remove", "take them out of ~/.ssh/config again")
    .action(async (names: string[], options: SshConfigOptions) => {
      if (options.write && options.remove)
        throw new FirebreakError("INVALID_ARGUMENT", "--write and --remove are one or the other");
      if (options.remove) {
        const { file } = await removeFromUserConfig(resolvePaths());
        if (isJson(command)) printJson({ file, removed: true });
        else process.stdout.write(`${file} does not include firebreak's entries any more\n`);
        return;
      }
      const paths = resolvePaths();
      const { client, asJson } = await openContext(command);
      const found =
        names.length === 0 ? await client.vms.list() : await Promise.all(names.map((vm) => client.vms.get(vm)));
      const vms = found.filter((vm) => !vm.ephemeral).map((vm) => vm.name);
      if (!options.write) {
        const config = renderOwnConfig(paths, vms);
        return asJson ? printJson({ config, hosts: vms }) : void process.stdout.write(config);
      }
      const config = await writeOwnConfig(paths, vms);
      const { file, backup } = await includeInUserConfig(paths);
      if (asJson) return printJson({ file, config, hosts: vms, ...(backup === undefined ? {} : { backup }) });
      if (backup !== undefined) process.stderr.write(`what it was before is kept: ${backup}\n`);
      process.stdout.write(`${file} includes ${config}; try: ssh firebreak-${vms[0] ?? "NAME"}\n`);
    });
}
