import { z } from "zod";
import {
  EXPIRY_ACTIONS,
  labelsSchema,
  MAX_LIFETIME_MS,
  MAX_RESTARTS,
  RESTART_POLICIES,
  type RestartPolicy,
} from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** Arguments that a VM gets when it is made, and that can be changed later. */
export const limitArguments = {
  labels: labelsSchema.optional().describe("Its labels."),
  restart: z
    .enum(RESTART_POLICIES)
    .optional()
    .describe("When it is started again after its VMM ended by itself (default: never)."),
  max_restarts: z.int().min(1).max(MAX_RESTARTS).optional().describe("Restarts in a row before it is given up."),
  max_lifetime_seconds: z
    .int()
    .min(1)
    .max(MAX_LIFETIME_MS / 1000)
    .optional()
    .describe("After this, on_expiry is done (default: never)."),
  on_expiry: z.enum(EXPIRY_ACTIONS).optional().describe("stop (default), suspend or delete."),
};

type Limits = { [K in keyof typeof limitArguments]?: z.output<(typeof limitArguments)[K]> | undefined };

/** Throws INVALID_ARGUMENT for a number of restarts without a policy that restarts. */
export function toLimits({ labels, restart, max_restarts, max_lifetime_seconds, on_expiry }: Limits) {
  if (max_restarts !== undefined && (restart === undefined || restart === "never"))
    throw new FirebreakError("INVALID_ARGUMENT", "max_restarts goes with restart: on-failure or always", {
      details: { field: "max_restarts" },
    });
  const limit = max_restarts === undefined ? {} : { maxRetries: max_restarts };
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(restart === undefined ? {} : { restart: { policy: restart, ...limit } satisfies RestartPolicy }),
    ...(max_lifetime_seconds === undefined ? {} : { maxLifetimeMs: max_lifetime_seconds * 1000 }),
    ...(on_expiry === undefined ? {} : { onExpiry: on_expiry }),
  };
}
