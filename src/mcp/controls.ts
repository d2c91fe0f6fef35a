import { z } from "zod";
import { idempotencyKeySchema } from "../contract/call.ts";

/** Arguments that every tool takes that changes something. */
export const CONTROLS = {
  preview: z.boolean().optional().describe("Only tell what it would do."),
  idempotency_key: idempotencyKeySchema.optional().describe("Repeats of the call with the same key are done once."),
};

/** Besides, of those that need a confirmation. */
export const CONFIRM_CONTROL = {
  confirm_token: z.string().min(1).max(200).optional().describe("From a preview with these arguments."),
};

/** What a preview answers, in place of the tool's own result. */
export const previewSchema = z.strictObject({
  steps: z.array(z.string()),
  confirm_token: z.string().optional(),
  expires_at: z.string().optional(),
});
