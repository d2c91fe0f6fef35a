import type { Command } from "commander";
import { resolvePaths } from "../../../platform/paths.ts";
import { runAttached } from "../../../platform/process.ts";
import { openContext } from "../../context.ts";
import { runSession } from "../../exec-session.ts";
import { HOST_PREFIX } from "../../ssh/config.ts";
import { prepareGuest, SSHD } from "../../ssh/guest.ts";
import { ensureKeyPair, sshPaths, writeKnownHost } from "../../ssh/keys.ts";
import { writeOwnConfig } from "../../ssh/write.ts";

export function addVmSsh(parent: Command, hasSeparator: boolean): void {
  const command = parent
    .command("ssh")
    .summary("SSH to a VM, which needs no network for it")
    .description(
      "Open an SSH session in a VM, or run a command there, with the installed ssh over the channel to the VM. 'vm shell' and 'vm exec' need no SSH; this is for what does: agents of editors, scp, port forwarding.",
    )
    .argument("<vm>", "name")
    .argument("[command...]", "a command and its arguments, after --")
    .passThroughOptions(!hasSeparator)
    .action(async (vm: string, words: string[]) => {
      const paths = resolvePaths();
      const { client } = await openContext(command);
      const { name } = await client.vms.get(vm);
      const argv = words[0] === "--" ? words.slice(1) : words;
      const config = await writeOwnConfig(paths, []);
      process.exitCode = await runAttached("ssh", ["-F", config, `${HOST_PREFIX}${name}`, ...argv], {
        hint: "apt-get install openssh-client",
      });
    });
}

export function addVmSshProxy(parent: Command): void {
  const command = parent
    .command("ssh-proxy", { hidden: true })
    .description("Carry one SSH connection to a VM on stdin and stdout; ssh runs this (see ssh-config).")
    .argument("<host>", "firebreak-NAME")
    .action(async (host: string) => {
      const paths = resolvePaths();
      const { client, progress } = await openContext(command);
      const vm = host.startsWith(HOST_PREFIX) ? host.slice(HOST_PREFIX.length) : host;
      const keys = sshPaths(paths);
      const publicKey = await ensureKeyPair(keys);
      const { name } = await client.vms.get(vm);
      const hostKey = await prepareGuest(client, name, publicKey, progress.update);
      // Before the first byte of sshd's: ssh looks the key up after that.
      await writeKnownHost(keys, `${HOST_PREFIX}${vm}`, hostKey);
      const stream = await client.execs.start(name, SSHD, { onProgress: progress.update });
      process.exitCode = await runSession(stream, {
        hasTty: false,
        hasStdin: true,
        forwardsSignals: false,
        progress,
      });
    });
}
