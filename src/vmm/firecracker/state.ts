import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { FirecrackerApi } from "./api-client.ts";

const infoSchema = z.object({ state: z.enum(["Not started", "Running", "Paused"]), vmm_version: z.string().max(64) });

/** What Firecracker says of its machine. Throws as FirecrackerApi.call. */
export async function readState(api: FirecrackerApi): Promise<"Not started" | "Running" | "Paused"> {
  return (await readInfo(api)).state;
}

async function readInfo(api: FirecrackerApi): Promise<z.infer<typeof infoSchema>> {
  const info = infoSchema.safeParse(await api.call({ method: "GET", path: "/" }));
  if (info.success) return info.data;
  throw new FirebreakError("VMM_PROTOCOL_ERROR", "Firecracker does not say what state its machine is in");
}

const machineSchema = z.object({ huge_pages: z.string().max(64).optional() });

/** Whether its memory is of the host's pool of huge pages. Throws as FirecrackerApi.call. */
export async function hasHugePages(api: FirecrackerApi): Promise<boolean> {
  const machine = machineSchema.safeParse(await api.call({ method: "GET", path: "/machine-config" }));
  if (!machine.success) throw new FirebreakError("VMM_PROTOCOL_ERROR", "Firecracker does not say what its machine is");
  return machine.data.huge_pages === "2M";
}
