import { z } from "zod";
import { MAX_MOUNTS_PER_VM, vmMountSchema } from "../../contract/mount.ts";
import { mountPathSchema } from "../../contract/mount-path.ts";
import { describePolicy } from "../../contract/policy.ts";
import { secretNameSchema } from "../../contract/secret.ts";
import {
  envSchema,
  MAX_IDLE_TIMEOUT_MS,
  MIN_IDLE_TIMEOUT_MS,
  nameSchema,
  type VmCreate,
  vmCreateSchema,
} from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { networkArgument, toPolicy } from "../network/policy-argument.ts";
import { defineTool } from "../tool.ts";
import { kindArguments, toKind, toWait, waitArguments } from "./kind.ts";
import { limitArguments, toLimits } from "./limits.ts";
import { describeVm, toVmView, vmViewSchema } from "./vm-view.ts";

const inputSchema = z.strictObject({
  name: nameSchema.optional().describe("a-z, 0-9 and '-', at most 63 characters; made up when absent."),
  ...kindArguments,
  env: envSchema.optional().describe("Environment of every command in the VM."),
  network: networkArgument.optional(),
  secrets: z
    .array(secretNameSchema)
    .max(64)
    .optional()
    .describe(
      "Secrets that it may use at their hosts, by name; network has to allow these. It has placeholders, no values.",
    ),
  idle_timeout_seconds: z
    .int()
    .min(MIN_IDLE_TIMEOUT_MS / 1000)
    .max(MAX_IDLE_TIMEOUT_MS / 1000)
    .optional()
    .describe("Suspend it when unused for this long; the next use brings it back (default: never)."),
  volumes: z
    .array(
      z.strictObject({
        volume: nameSchema.describe("Name of the volume."),
        path: mountPathSchema.describe("Where it is mounted."),
        read_only: z.boolean().optional().describe("Default: false."),
      }),
    )
    .max(16)
    .optional()
    .describe("Volumes to mount (volume_create makes one)."),
  mounts: z
    .array(
      z.strictObject({
        host_path: vmMountSchema.shape.hostPath.describe("Of this machine."),
        guest_path: vmMountSchema.shape.guestPath.optional().describe("Default: the same."),
        access: z.enum(["ro", "rw"]).optional().describe("rw: the VM may change it here (default: ro)."),
      }),
    )
    .max(MAX_MOUNTS_PER_VM)
    .optional()
    .describe("Directories and files of this machine to see live; for local callers."),
  ...limitArguments,
  ...waitArguments,
  cold: z
    .boolean()
    .optional()
    .describe("Boot it, which takes seconds, instead of forking a template (default: false)."),
});

export const vmCreate = defineTool({
  name: "vm_create",
  title: "Create a VM",
  description: [
    "Creates a Linux VM and starts it; returns when commands can run in it.",
    "It stays, with its disk, until vm_delete. It shares no files with this machine unless mounts names them, and has no network unless network says what it may reach.",
    "This takes a fraction of a second, and some seconds for the first VM of its kind (image, memory, CPUs); the first use of an image may build it first, which takes minutes.",
  ].join(" "),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema,
  outputSchema: vmViewSchema,
  plan: async (args, { client, signal }) => {
    const taken = (await client.vms.list({ signal })).some(({ name }) => name === args.name);
    if (taken) throw new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${args.name}' exists`);
    const { image, memoryMib, cpus, diskMib, cold, network, mounts } = vmCreateSchema.parse(toVmCreate(args));
    const size = `${memoryMib} MiB, ${cpus} CPU${cpus === 1 ? "" : "s"}, disk ${diskMib} MiB`;
    const start = cold
      ? "start_vmm: boot it"
      : "restore_vmm: fork the template of its kind, which is made first if missing";
    return {
      steps: [
        `create: a VM ${args.name ?? "with a made-up name"}, image ${image}, ${size}`,
        start,
        `network: ${describePolicy(network).join("; ")}`,
        ...mounts.map(({ hostPath, guestPath, access }) => `serve_mounts: ${hostPath} at ${guestPath} (${access})`),
      ],
      state: null,
    };
  },
  handler: async (args, { client, signal, onProgress }) => {
    const vm = await client.vms.create(toVmCreate(args), { signal, onProgress });
    return { structured: toVmView(vm), vm: vm.name, facts: ["created", vm.state], text: describeVm(vm) };
  },
});

function toVolume(args: { volume: string; path: string; read_only?: boolean | undefined }) {
  const { volume, path, read_only: readOnly } = args;
  return { volume, path, ...(readOnly === undefined ? {} : { readOnly }) };
}

function toVmCreate(args: z.output<typeof inputSchema>): VmCreate {
  return {
    ...(args.name === undefined ? {} : { name: args.name }),
    ...toKind(args),
    ...(args.env === undefined ? {} : { env: args.env }),
    ...(args.network === undefined ? {} : { network: toPolicy(args.network) }),
    ...(args.secrets === undefined ? {} : { secrets: args.secrets.map((name) => ({ name })) }),
    ...(args.idle_timeout_seconds === undefined ? {} : { idleTimeoutMs: args.idle_timeout_seconds * 1000 }),
    ...(args.volumes === undefined ? {} : { volumes: args.volumes.map(toVolume) }),
    ...(args.mounts === undefined ? {} : { mounts: args.mounts.map(toMount) }),
    ...(args.cold === undefined ? {} : { cold: args.cold }),
    ...toLimits(args),
    ...toWait(args),
  };
}

function toMount(args: NonNullable<z.output<typeof inputSchema>["mounts"]>[number]) {
  const { host_path: hostPath, guest_path: guestPath, access } = args;
  return { hostPath, guestPath: guestPath ?? hostPath, ...(access === undefined ? {} : { access }) };
}
