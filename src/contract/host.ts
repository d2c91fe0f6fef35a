import { z } from "zod";

/** What is told of the host, and what its machines are said to cost. */

const room = z.object({ totalBytes: z.number().int(), availableBytes: z.number().int() });

export const hostInfoSchema = z.object({
  version: z.string().describe("firebreak's"),
  arch: z.string(),
  kernel: z.string(),
  cpus: z.number().int(),
  cpuModel: z.string(),
  load1: z.number(),
  memory: room,
  disk: room.describe("where firebreak keeps its state"),
  driver: z.string().describe("what VMs get that say none"),
  drivers: z.array(z.object({ name: z.string(), version: z.string() })).describe("those whose VMM is installed"),
  vms: z.object({ total: z.number().int(), running: z.number().int() }),
});
export type HostInfo = z.infer<typeof hostInfoSchema>;

const price = z.number().min(0, "a price is 0 or more").max(1_000_000);

/** `[prices]` of $FIREBREAK_HOME/firebreak.toml: what its owner counts for a VM that has a VMM, and for its disk. */
export const pricesSchema = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, "a currency is three capital letters, such as EUR"),
  cpu_hour: price,
  gib_hour: price.describe("of memory"),
  disk_gib_hour: price.default(0),
});
export type Prices = z.infer<typeof pricesSchema>;
