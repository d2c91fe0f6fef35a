import { z } from "zod";
import { describePolicy } from "../../contract/policy.ts";
import { VM_ORIGINS, VM_STATES, type Vm } from "../../contract/vm.ts";

/** A VM as tools show it. */
export const vmViewSchema = z.strictObject({
  vm: z.string().describe("Name; pass it as 'vm' to the other tools."),
  id: z.string(),
  state: z
    .enum(VM_STATES)
    .describe("Commands and files need 'running'; they bring a suspended VM back, and a paused one needs vm_resume."),
  reason: z.string().optional().describe("Why it is crashed, or why its last start failed."),
  image: z.string(),
  memory_mib: z.int(),
  cpus: z.int(),
  disk_mib: z.int(),
  driver: z.string().describe("'qemu' or 'firecracker'; the latter takes no volumes while it runs."),
  accel: z.string().optional().describe("'kvm', or 'tcg' (emulation: many times slower)."),
  accel_reason: z.string().optional().describe("Why the accelerator is not KVM."),
  origin: z.enum(VM_ORIGINS),
  snapshot: z.string().optional().describe("Id of the snapshot that it comes from, or was last saved as."),
  network: z.array(z.string()).describe("What it may reach."),
  secrets: z.array(z.string()).optional().describe("Names of the secrets that it may use."),
  exposed_secrets: z
    .array(z.string())
    .optional()
    .describe("Those of them whose values it has; it cannot be saved, forked or suspended."),
  drives: z.array(z.string()).optional().describe("Drives besides its disk, and where they are mounted."),
  mounts: z.array(z.string()).optional().describe("What of this machine it sees live."),
  idle_timeout_seconds: z.number().optional().describe("Unused for this long, it is suspended."),
  labels: z.record(z.string(), z.string()).optional(),
  restart: z.string().optional().describe("Restart policy, when it has one."),
  expires_at: z.string().optional(),
  ephemeral: z.boolean().describe("True when the VM goes with the one command it was made for."),
  created_at: z.string(),
  started_at: z.string().optional(),
  boot_ms: z.number().optional().describe("From start to the guest's first answer."),
});
export type VmView = z.infer<typeof vmViewSchema>;

export function toVmView(vm: Vm): VmView {
  return {
    vm: vm.name,
    id: vm.id,
    state: vm.state,
    ...(vm.reason === undefined ? {} : { reason: vm.reason }),
    image: vm.image,
    memory_mib: vm.memoryMib,
    cpus: vm.cpus,
    disk_mib: vm.diskMib,
    driver: vm.driver,
    network: describePolicy(vm.network),
    ...(vm.accel === undefined ? {} : { accel: vm.accel }),
    ...(vm.accelReason === undefined ? {} : { accel_reason: vm.accelReason }),
    origin: vm.origin,
    ...(vm.snapshot === undefined ? {} : { snapshot: vm.snapshot }),
    ...(vm.secrets.length === 0 ? {} : { secrets: vm.secrets.map(({ name }) => name) }),
    ...(vm.exposedSecrets === undefined ? {} : { exposed_secrets: vm.exposedSecrets }),
    ...(vm.drives.length === 0 ? {} : { drives: vm.drives.map(describeDrive) }),
    ...(vm.mounts.length === 0 ? {} : { mounts: vm.mounts.map(describeMount) }),
    ...(vm.idleTimeoutMs === undefined ? {} : { idle_timeout_seconds: vm.idleTimeoutMs / 1000 }),
    ...(Object.keys(vm.labels).length === 0 ? {} : { labels: vm.labels }),
    ...(vm.restart.policy === "never" ? {} : { restart: describeRestart(vm) }),
    ...(vm.expiresAt === undefined ? {} : { expires_at: vm.expiresAt }),
    ephemeral: vm.ephemeral,
    created_at: vm.createdAt,
    ...(vm.startedAt === undefined ? {} : { started_at: vm.startedAt }),
    ...(vm.bootMs === undefined ? {} : { boot_ms: vm.bootMs }),
  };
}

/** `always`, or `on-failure:5` where it is given up after that many in a row. */
export function describeRestart({ restart: { policy, maxRetries } }: Vm): string {
  return maxRetries === undefined ? policy : `${policy}:${maxRetries}`;
}

/** `data at /data (read-only)`. */
function describeDrive({ name, path, readOnly, reason }: Vm["drives"][number]): string {
  const place = path === undefined ? "" : ` at ${path}`;
  return `${name}${place}${readOnly ? " (read-only)" : ""}${reason === undefined ? "" : `: ${reason}`}`;
}

function describeMount({ hostPath, guestPath, access, reason }: Vm["mounts"][number]): string {
  return `${hostPath} at ${guestPath} (${access}${reason === undefined ? "" : `; not there: ${reason}`})`;
}

/** What tools answer that change a VM's state or make a VM: the rest is vm_get's. */
export const vmStateSchema = z.strictObject({ vm: z.string(), state: z.string() });

export function toVmState(vm: Vm): z.infer<typeof vmStateSchema> {
  return { vm: vm.name, state: vm.state };
}

/** One line a VM: what tells it from the others. */
export function describeVm(vm: Vm): string {
  const size = `${vm.memoryMib} MiB, ${vm.cpus} CPU${vm.cpus === 1 ? "" : "s"}, disk ${vm.diskMib} MiB`;
  const accel = vm.accel === undefined ? "" : `, ${vm.accel}`;
  return `${vm.name}: ${vm.state}, image ${vm.image}, ${size}${accel}${vm.reason === undefined ? "" : `; ${vm.reason}`}`;
}
