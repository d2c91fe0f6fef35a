import { z } from "zod";
import { defineTool } from "../tool.ts";

export const doctor = defineTool({
  name: "doctor",
  title: "Check this machine",
  description:
    "Checks what firebreak needs of this machine, whether KVM works, and whether anything is left over; tells what to do about each.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({
    ok: z.boolean(),
    checks: z.array(
      z.strictObject({
        name: z.string(),
        ok: z.boolean(),
        optional: z.boolean(),
        message: z.string(),
        hint: z.string().optional(),
      }),
    ),
  }),
  handler: async (_args, { client, signal }) => {
    const checks = (await client.doctor({ signal })).map(({ name, ok, optional, message, hint }) => ({
      name,
      ok,
      optional: optional === true,
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
    const failed = checks.filter((check) => !check.ok && !check.optional);
    return {
      structured: { ok: failed.length === 0, checks },
      facts: [failed.length === 0 ? "all is well" : `${failed.length} of ${checks.length} checks failed`],
      text: checks
        .map(
          ({ name, ok, optional, message, hint }) =>
            `${ok ? "ok" : optional ? "optional" : "FAILED"} ${name}: ${message}${hint === undefined ? "" : ` (${hint})`}`,
        )
        .join("\n"),
    };
  },
});
