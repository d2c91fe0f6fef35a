import type { Vm } from "../../contract/vm.ts";
import type { ToolContext } from "../tool.ts";

/** The name of the VM that a call is about. A caller hears when the daemon has to wake it, which takes a second or two, for the call. */
export async function resolveVm(nameOrId: string, { client, signal, onProgress }: ToolContext): Promise<string> {
  const vm = await client.vms.get(nameOrId, { signal });
  const message = WAITS[vm.state];
  if (message !== undefined) onProgress({ step: "wait", message: `${message} '${vm.name}'` });
  return vm.name;
}

const WAITS: Partial<Record<Vm["state"], string>> = {
  created: "waiting for the VM",
  starting: "waiting for the VM",
  suspending: "waiting for the VM",
  suspended: "bringing back the VM",
};
