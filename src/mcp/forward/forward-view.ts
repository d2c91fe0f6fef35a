import { z } from "zod";
import type { Forward } from "../../contract/forward.ts";

/** Which forward a call is about. */
export const forwardArgument = z.string().min(1).max(64).describe("Id of the forward (forward_list shows them).");

/** A port forward as tools show it. */
export const forwardViewSchema = z.strictObject({
  forward: z.string(),
  vm: z.string(),
  host_address: z.string(),
  host_port: z.int(),
  guest_port: z.int(),
  state: z.string().describe("listening, inactive (its VM does not run) or failed."),
  reason: z.string().optional(),
  warning: z.string().optional(),
  notice: z.string().optional().describe("Why the last connection was closed at once."),
  open_connections: z.int(),
  bytes_to_guest: z.number(),
  bytes_from_guest: z.number(),
});
export type ForwardView = z.infer<typeof forwardViewSchema>;

export function toForwardView(forward: Forward): ForwardView {
  return {
    forward: forward.id,
    vm: forward.vm.name,
    host_address: forward.hostAddress,
    host_port: forward.hostPort,
    guest_port: forward.guestPort,
    state: forward.state,
    ...(forward.reason === undefined ? {} : { reason: forward.reason }),
    ...(forward.warning === undefined ? {} : { warning: forward.warning }),
    ...(forward.notice === undefined ? {} : { notice: forward.notice.message }),
    open_connections: forward.connections.open,
    bytes_to_guest: forward.bytes.toGuest,
    bytes_from_guest: forward.bytes.fromGuest,
  };
}

/** One line a forward, and one for each thing to mind. */
export function describeForward(forward: Forward): string {
  const { id, vm, hostAddress, hostPort, guestPort, state, reason } = forward;
  const host = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
  return [
    `${id}: ${host}:${hostPort} of this computer to port ${guestPort} of vm ${vm.name}, ${state}${reason === undefined ? "" : ` (${reason})`}`,
    ...(forward.warning === undefined ? [] : [`warning: ${forward.warning}`]),
    ...(forward.notice === undefined ? [] : [`notice: ${forward.notice.message}`]),
  ].join("\n");
}
