import { z } from "zod";
import { nameSchema } from "./vm.ts";

/** API keys: what callers over TCP prove who they are with. */

export const MIN_KEY_LIFE_MS = 1_000;
export const MAX_KEY_LIFE_MS = 10 * 366 * 24 * 3600 * 1000;

export const apiKeySchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.string(),
  expiresAt: z
    .string()
    .optional()
    .describe("no request is answered from then on; a key without lasts until it is revoked"),
  lastUsedAt: z.string().optional().describe("to the minute"),
});
export type ApiKey = z.infer<typeof apiKeySchema>;

export const createdKeySchema = apiKeySchema.extend({
  key: z.string().describe("the key itself, which is told this once: the daemon keeps its digest only"),
});
export type CreatedKey = z.infer<typeof createdKeySchema>;

export const keyCreateSchema = z.strictObject({
  name: nameSchema.optional(),
  lifeMs: z
    .number()
    .int()
    .min(MIN_KEY_LIFE_MS, "at least a second")
    .max(MAX_KEY_LIFE_MS, "at most 10 years")
    .optional()
    .describe("how long it is good for; a key without lasts until it is revoked"),
});
export type KeyCreate = z.input<typeof keyCreateSchema>;
