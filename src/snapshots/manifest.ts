import { z } from "zod";
import { egressPolicySchema, NO_NETWORK } from "../contract/policy.ts";
import { secretGrantsSchema } from "../contract/secret.ts";
import { envSchema, MAX_CPUS, MAX_DISK_MIB, MAX_MEMORY_MIB, NAME_PATTERN } from "../contract/vm.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const bytes = z.number().int().min(0);
/** Ids become names of folders, of which some are removed again. */
const id = z.string().regex(/^[0-9a-f]{12,64}$/);

/** Traits of a host that a saved machine depends on: words must be equal, numbers nearly. */
export const hostTraitsSchema = z.record(z.string(), z.union([z.string(), z.number()]));

/** manifest.json of a saved machine: the last file to be written. What it does not vouch for is not there. */
export const manifestSchema = z.strictObject({
  format: z.literal(1),
  id,
  name: z.string().regex(NAME_PATTERN).optional(),
  createdAt: z.iso.datetime(),
  machine: z.strictObject({
    memoryMib: z.number().int().min(1).max(MAX_MEMORY_MIB),
    cpus: z.number().int().min(1).max(MAX_CPUS),
    diskMib: z.number().int().min(1).max(MAX_DISK_MIB),
    driver: z.string(),
    driverVersion: z.string(),
    accel: z.enum(["kvm", "tcg"]),
  }),
  host: hostTraitsSchema,
  image: z.string(),
  // A name would be looked up, and built.
  imageDigest: z.string().regex(/^sha256:[0-9a-f]{1,64}$/),
  kernelId: z.string(),
  /** What the agent in it can do besides its generation's least. */
  agent: z.strictObject({ generation: z.number().int().min(1), features: z.array(z.string()) }),
  memory: z.strictObject({ sha256, dataBytes: bytes }),
  state: z.strictObject({ sha256, sizeBytes: bytes }),
  /** None in a suspended VM: its drive stays where it is. */
  overlay: z.strictObject({ sha256, dataBytes: bytes, sizeBytes: bytes }).optional(),
  // The first form is that of snapshots from before there were policies.
  policy: z.union([z.strictObject({ network: z.literal("none") }).transform(() => NO_NETWORK), egressPolicySchema]),
  /** Where it was taken; a template is of no VM. */
  vm: z
    .strictObject({
      id,
      name: z.string().regex(NAME_PATTERN),
      env: envSchema,
      secrets: secretGrantsSchema.optional(),
      authority: id.optional(),
      idleTimeoutMs: z.number().int().min(1).optional(),
    })
    .optional(),
  parent: id.optional(),
  stoppedMs: z.number().min(0),
});
export type Manifest = z.output<typeof manifestSchema>;
export type HostTraits = z.output<typeof hostTraitsSchema>;

/** Numbers such as a clock's frequency are measured anew at each boot of the host. */
const NUMBER_TOLERANCE = 0.002;

/** Why a machine saved on one host cannot go on on another; undefined when it can. */
export function findHostConflict(saved: HostTraits, here: HostTraits): string | undefined {
  for (const name of new Set([...Object.keys(saved), ...Object.keys(here)])) {
    const [then, now] = [saved[name], here[name]];
    const isSame =
      typeof then === "number" && typeof now === "number"
        ? Math.abs(then - now) <= NUMBER_TOLERANCE * Math.max(then, now)
        : then === now;
    if (!isSame) return `${name} was ${then ?? "not known"} and is ${now ?? "not known"} here`;
  }
  return undefined;
}
