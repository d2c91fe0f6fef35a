import type { Command } from "commander";
import type { ForwardCreate } from "../../contract/forward.ts";
import type { TemplateCreate } from "../../contract/snapshot.ts";
import type { DriverRequest, ExpiryAction, VmCreate } from "../../contract/vm.ts";
import { parseForward } from "../forward-spec.ts";
import { parseCount, parseDurationMs, parseEnv, parseLabels, parseMib, parseRestart, parseVolume } from "../parse.ts";

/** What VMs that are forked from one template have in common. */
export interface KindOptionValues {
  image?: string;
  memory?: string;
  cpus?: string;
  disk?: string;
  accel?: string;
  driver?: string;
}

export interface VmOptionValues extends KindOptionValues {
  env?: string[];
  cold?: boolean;
  volume?: string[];
  mount?: string[];
  idleTimeout?: string;
  label?: string[];
  restart?: string;
  maxLifetime?: string;
  onExpiry?: string;
  waitForMemory?: string;
  publish?: string[];
}

/** The options that say of which kind a VM is. */
export function addKindOptions(command: Command, memory = "512"): Command {
  return command
    .option("-i, --image <name>", "image to boot (default: debian)")
    .option("-m, --memory <size>", `memory, such as 512 (MiB) or 2G (default: ${memory})`)
    .option("-c, --cpus <n>", "virtual CPUs (default: 1)")
    .option("-d, --disk <size>", "size of the writable disk, such as 4G (default: 2048)")
    .option("--accel <kind>", "auto, kvm or tcg (default: auto)")
    .option("--driver <name>", "auto, qemu or firecracker (default: the daemon's, which is auto unless it is told)");
}

/** The options that say what a VM is made of. */
export function addVmOptions(command: Command): Command {
  return addKindOptions(command)
    .option(
      "-e, --env <name=value>",
      "environment of every command; NAME alone passes this shell's value on (repeatable)",
      collect,
    )
    .option(
      "-p, --publish <ports>",
      "open a port of this host to the VM: [[HOST_ADDRESS:]HOST_PORT:]GUEST_PORT (repeatable)",
      collect,
    )
    .option("--cold", "boot it, which takes seconds, instead of forking it from the template of its kind")
    .option(
      "-v, --volume <name:/path>",
      "a volume to mount there; NAME:/PATH:ro for reading only (repeatable)",
      collect,
    )
    .option(
      "--mount <host[:guest][:rw]>",
      "a directory or file of this host that it sees live, at the same path or another; only with :rw may it change it (repeatable)",
      collect,
    )
    .option("-l, --label <key=value>", "a label to find it by (repeatable)", collect)
    .option("--max-lifetime <time>", "end it after this long, such as 8h; see --on-expiry")
    .option("--wait-for-memory <time>", "wait this long for the host's memory instead of failing at once");
}

/** The options of a VM that stays. */
export function addLifetimeOptions(command: Command): Command {
  return command
    .option(
      "--idle-timeout <time>",
      "suspend it when nobody has used it for this long, such as 10m; the next use brings it back",
    )
    .option("--restart <policy>", "never, on-failure[:N] or always: when to start it again after it ended by itself")
    .option(
      "--on-expiry <action>",
      "stop, suspend or delete: what is done at the end of --max-lifetime (default: stop)",
    );
}

/** The ports that a new VM is published on. */
export function toPublish(options: VmOptionValues): { publish?: ForwardCreate[] } {
  const publish = (options.publish ?? []).map(parseForward);
  return publish.length === 0 ? {} : { publish };
}

export function toKind(options: KindOptionValues): TemplateCreate {
  return {
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(options.memory === undefined ? {} : { memoryMib: parseMib("--memory", options.memory) }),
    ...(options.cpus === undefined ? {} : { cpus: parseCount("--cpus", options.cpus) }),
    ...(options.disk === undefined ? {} : { diskMib: parseMib("--disk", options.disk) }),
    ...(options.driver === undefined ? {} : { driver: options.driver as DriverRequest }),
    ...(options.accel === undefined ? {} : { accel: options.accel as "auto" }),
  };
}

export function toVmCreate(options: VmOptionValues): VmCreate {
  return {
    ...toKind(options),
    ...(options.cold === undefined ? {} : { cold: options.cold }),
    ...(options.idleTimeout === undefined
      ? {}
      : { idleTimeoutMs: parseDurationMs("--idle-timeout", options.idleTimeout) }),
    ...toLifetime(options),
    ...(options.waitForMemory === undefined
      ? {}
      : { admissionWaitMs: parseDurationMs("--wait-for-memory", options.waitForMemory) }),
    ...(options.label === undefined ? {} : { labels: parseLabels(options.label) }),
    ...(options.volume === undefined ? {} : { volumes: options.volume.map(parseVolume) }),
    env: parseEnv(options.env ?? []),
  };
}

/** What `vm update` can change, too. */
export function toLifetime(options: Pick<VmOptionValues, "restart" | "maxLifetime" | "onExpiry">) {
  return {
    ...(options.restart === undefined ? {} : { restart: parseRestart(options.restart) }),
    ...(options.maxLifetime === undefined
      ? {}
      : { maxLifetimeMs: parseDurationMs("--max-lifetime", options.maxLifetime) }),
    ...(options.onExpiry === undefined ? {} : { onExpiry: options.onExpiry as ExpiryAction }),
  };
}

/** For options that may be given more than once: all their values, undefined when there is none. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
