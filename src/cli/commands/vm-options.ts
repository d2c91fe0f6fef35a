import type { Command } from "commander";
import type { VmCreate } from "../../contract/vm.ts";
import { parseCount, parseDurationMs, parseEnv, parseMib } from "../parse.ts";

export interface VmOptionValues {
  image?: string;
  memory?: string;
  cpus?: string;
  disk?: string;
  accel?: string;
  env?: string[];
  cold?: boolean;
  idleTimeout?: string;
}

/** The options that say what a VM is made of. */
export function addVmOptions(command: Command): Command {
  return command
    .option("-i, --image <name>", "image to boot (default: debian)")
    .option("-m, --memory <size>", "memory, such as 512 (MiB) or 2G (default: 512)")
    .option("-c, --cpus <n>", "virtual CPUs (default: 1)")
    .option("-d, --disk <size>", "size of the writable disk, such as 4G (default: 2048)")
    .option("--accel <kind>", "auto, kvm or tcg (default: auto)")
    .option(
      "-e, --env <name=value>",
      "environment of every command; NAME alone passes this shell's value on (repeatable)",
      collect,
      [],
    )
    .option("--cold", "boot it, which takes seconds, instead of forking it from the template of its kind");
}

export function toVmCreate(options: VmOptionValues): VmCreate {
  return {
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(options.memory === undefined ? {} : { memoryMib: parseMib("--memory", options.memory) }),
    ...(options.cpus === undefined ? {} : { cpus: parseCount("--cpus", options.cpus) }),
    ...(options.disk === undefined ? {} : { diskMib: parseMib("--disk", options.disk) }),
    ...(options.accel === undefined ? {} : { accel: options.accel as "auto" }),
    ...(options.cold === undefined ? {} : { cold: options.cold }),
    ...(options.idleTimeout === undefined
      ? {}
      : { idleTimeoutMs: parseDurationMs("--idle-timeout", options.idleTimeout) }),
    env: parseEnv(options.env ?? []),
  };
}

export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
