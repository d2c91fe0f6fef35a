import { z } from "zod";
import { ERROR_CLASSES, ERROR_CODES } from "../errors/catalogue.ts";
import type { ErrorBody } from "../errors/firebreak-error.ts";

type Names<T> = [keyof T, ...(keyof T)[]];

/** What the `error` of an answer is, in whatever form it comes. */
export const errorBodySchema = z.object({
  code: z
    .enum(Object.keys(ERROR_CODES) as Names<typeof ERROR_CODES>)
    .describe("never changes its meaning; docs/errors.md lists all"),
  class: z
    .enum(Object.keys(ERROR_CLASSES) as Names<typeof ERROR_CLASSES>)
    .describe("what the caller should do about it"),
  message: z.string(),
  hint: z.string().optional().describe("the next step"),
  details: z.record(z.string(), z.unknown()).optional(),
}) satisfies z.ZodType<ErrorBody>;
