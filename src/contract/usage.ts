import { z } from "zod";
import { tokensSchema } from "./task-event.ts";

/** The HTTP API's usage: what tasks that have ended took, those that are forgotten included. */

/** By what usage is told apart: `label:KEY` is by the values of one label. */
export const usageBySchema = z
  .string()
  .regex(/^(task|user|agent|model|day|label:[^\s]{1,63})$/, "one of task, user, agent, model, day, label:KEY");

const count = z.number().int().nonnegative();

const sumsSchema = z.object({
  tasks: count,
  tokens: tokensSchema.omit({ model: true }),
  costUsd: z.number().nonnegative().describe("of those whose cost is known"),
  withoutCost: count.describe("tasks that had tokens and no known cost"),
  vmSeconds: z.number().nonnegative(),
  memoryMibSeconds: z.number().nonnegative(),
});
export type UsageSums = z.output<typeof sumsSchema>;

export const usageGroupSchema = sumsSchema.extend({
  key: z
    .string()
    .optional()
    .describe("absent: those that have none, such as tasks of somebody on this host among users, or without the label"),
});
export type UsageGroup = z.output<typeof usageGroupSchema>;

export const usageSchema = z.object({
  by: z.string(),
  since: z.string().optional(),
  until: z.string().optional(),
  groups: z.array(usageGroupSchema).describe("the dearest first; days in their order"),
  total: sumsSchema,
});
export type Usage = z.output<typeof usageSchema>;
