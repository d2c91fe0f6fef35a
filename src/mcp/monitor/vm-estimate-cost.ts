import { z } from "zod";
import type { Prices } from "../../contract/host.ts";
import { DEFAULTS, MAX_CPUS, MAX_DISK_MIB, MAX_MEMORY_MIB } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

const MIB_PER_GIB = 1024;

export const vmEstimateCost = defineTool({
  name: "vm_estimate_cost",
  title: "Estimate what a VM costs",
  description:
    "Estimates what a VM costs for some hours, by the prices that the owner of this machine has set: of one that is there, or of one of a size.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument.optional().describe("A VM that is there; its size counts."),
    memory_mib: z.int().min(1).max(MAX_MEMORY_MIB).optional().describe(`Memory, MiB (default: ${DEFAULTS.memoryMib}).`),
    cpus: z.int().min(1).max(MAX_CPUS).optional().describe(`Virtual CPUs (default: ${DEFAULTS.cpus}).`),
    disk_mib: z.int().min(1).max(MAX_DISK_MIB).optional().describe(`Disk, MiB (default: ${DEFAULTS.diskMib}).`),
    hours: z.number().min(0).max(87_600).default(1).describe("For how long."),
    count: z.int().min(1).max(10_000).default(1).describe("How many of them."),
  }),
  outputSchema: z.strictObject({
    currency: z.string(),
    amount: z.number(),
    per_hour: z.number(),
    cpu: z.number(),
    memory: z.number(),
    disk: z.number(),
    hours: z.number(),
  }),
  handler: async ({ vm: name, hours, count, ...given }, { client, signal }) => {
    const isSized = given.memory_mib !== undefined || given.cpus !== undefined || given.disk_mib !== undefined;
    if (name !== undefined && isSized)
      throw new FirebreakError("INVALID_ARGUMENT", "vm_estimate_cost: a VM that is there has its size");
    const vm = name === undefined ? undefined : await client.vms.get(name, { signal });
    const prices = await client.prices({ signal });
    const size = vm ?? {
      cpus: given.cpus ?? DEFAULTS.cpus,
      memoryMib: given.memory_mib ?? DEFAULTS.memoryMib,
      diskMib: given.disk_mib ?? DEFAULTS.diskMib,
    };
    const parts = costOf(size, prices, hours * count);
    const amount = parts.cpu + parts.memory + parts.disk;
    const perHour = hours === 0 ? 0 : amount / hours;
    const { currency } = prices;
    return {
      structured: { currency, amount, per_hour: perHour, ...parts, hours },
      ...(vm === undefined ? {} : { vm: vm.name }),
      facts: [`${amount.toPrecision(6)} ${currency} for ${hours} h`],
      text: `CPU ${parts.cpu.toPrecision(6)}, memory ${parts.memory.toPrecision(6)}, disk ${parts.disk.toPrecision(6)} ${currency}, while it runs; a suspended or stopped VM has only its disk.`,
    };
  },
});

function costOf(size: { cpus: number; memoryMib: number; diskMib: number }, prices: Prices, hours: number) {
  return {
    cpu: size.cpus * prices.cpu_hour * hours,
    memory: (size.memoryMib / MIB_PER_GIB) * prices.gib_hour * hours,
    disk: (size.diskMib / MIB_PER_GIB) * prices.disk_gib_hour * hours,
  };
}
