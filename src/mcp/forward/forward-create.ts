import { z } from "zod";
import { forwardCreateSchema } from "../../contract/forward.ts";
import { isLoopback } from "../../platform/addresses.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeForward, forwardViewSchema, toForwardView } from "./forward-view.ts";

export const forwardCreate = defineTool({
  name: "forward_create",
  title: "Forward a port to a VM",
  description:
    "Opens a TCP port of this computer to a port of a VM, so that what listens in the VM (a web server, say) is reached from here. It lasts until forward_delete or until the VM is deleted. On an address that is not a loopback one it needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  inputSchema: z.strictObject({
    vm: vmArgument,
    guest_port: z.int().min(1).max(65_535).describe("Port that something listens on in the VM."),
    host_port: z.int().min(0).max(65_535).default(0).describe("Port of this computer; 0 takes a free one."),
    host_address: forwardCreateSchema.shape.hostAddress.describe(
      "IP address of this computer to listen on; any but a loopback address lets other machines in.",
    ),
  }),
  outputSchema: forwardViewSchema,
  confirm: async ({ vm: name, host_address: hostAddress, host_port: hostPort, guest_port: guestPort }, context) => {
    const vm = await context.client.vms.get(name, { signal: context.signal });
    const port = hostPort === 0 ? "a free port" : `port ${hostPort}`;
    const whom = isLoopback(hostAddress) ? "this computer" : "other machines, too,";
    const steps = [`listen: open ${port} of ${hostAddress}; ${whom} can reach port ${guestPort} of '${vm.name}' by it`];
    return { steps, state: { vm: vm.id, name: vm.name }, pinned: { vm: vm.id }, vm: vm.name };
  },
  confirmWhen: ({ host_address: hostAddress }) => !isLoopback(hostAddress),
  handler: async (args, { client, signal }) => {
    const { vm, guest_port: guestPort, host_port: hostPort, host_address: hostAddress } = args;
    const forward = await client.forwards.create(vm, { guestPort, hostPort, hostAddress }, { signal });
    return {
      structured: toForwardView(forward),
      vm: forward.vm.name,
      facts: [`forward ${forward.id}`, forward.state],
      text: describeForward(forward),
    };
  },
});
