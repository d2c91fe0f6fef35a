import { z } from "zod";
import type { ErrorClass } from "../errors/catalogue.ts";

/** What guards calls that must not be made by mistake (confirmations) or twice (idempotency keys). */

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, "a digest is 64 lower-case hex digits");
const toolSchema = z.string().min(1).max(200);

/** A caller's own name for one call; the same one again means the same call again. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, "a key is 1 to 128 printable characters without spaces");

/** Header of POST requests with an idempotency key. */
export const IDEMPOTENCY_HEADER = "idempotency-key";

export const confirmationSchema = z.strictObject({
  tool: toolSchema,
  /** Of what is asked for. */
  argumentsDigest: digestSchema,
  /** Of what the plan was made from. */
  stateDigest: digestSchema,
});
export type ConfirmationRequest = z.infer<typeof confirmationSchema>;

export const confirmTokenSchema = z.object({ token: z.string().describe("good for one call"), expiresAt: z.string() });
export type Confirmation = z.infer<typeof confirmTokenSchema>;

export const redeemSchema = confirmationSchema.extend({ token: z.string().min(1).max(200) });
export type RedeemRequest = z.infer<typeof redeemSchema>;

export const callSchema = z.strictObject({
  key: idempotencyKeySchema,
  tool: toolSchema,
  argumentsDigest: digestSchema,
});
export type CallRequest = z.infer<typeof callSchema>;

/** Step of the progress line that hands a call to whoever asked; its message is the call's id. */
export const CALL_CLAIMED = "claimed";

/** Largest answer that is kept, characters. */
export const MAX_ANSWER_CHARS = 8 * 1024 * 1024;
/** Without an answer: the call has been made, and its answer is too large to keep. */
export const answerSchema = z.strictObject({ answer: z.string().max(MAX_ANSWER_CHARS).optional() });

/** After these a call has done nothing: its key is free for another attempt. */
const NOTHING_DONE: ReadonlySet<ErrorClass> = new Set([
  "invalid_argument",
  "not_found",
  "already_exists",
  "failed_precondition",
  "unauthenticated",
  "permission_denied",
  "resource_exhausted",
  "unimplemented",
]);

/** Whether a call that failed like this may be made again under the same key. */
export function hasDoneNothing(error: { class: ErrorClass }): boolean {
  return NOTHING_DONE.has(error.class);
}
