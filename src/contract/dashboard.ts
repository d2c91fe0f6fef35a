import { z } from "zod";

/** Sessions of browsers: what the dashboard uses in the place of an API key. */

/** What a login gives for a session: a code of `firebreak dashboard`, which is good once, or an API key. */
export const dashboardLoginSchema = z.union([
  z.strictObject({ code: z.string().max(200) }),
  z.strictObject({ key: z.string().max(200) }),
]);
export type DashboardLogin = z.input<typeof dashboardLoginSchema>;

export const dashboardSessionSchema = z.object({
  name: z.string().describe("what tasks and the audit log say of who it was: `dashboard`, or the API key's name"),
  isOwner: z.boolean().describe("it was opened with a code, which only this host's owner gets"),
});
export type DashboardSession = z.infer<typeof dashboardSessionSchema>;

export const dashboardCodeSchema = z.object({
  code: z.string().describe("for one login"),
  expiresAt: z.string(),
  url: z.string().optional().describe("where to go with it; absent while the daemon does not listen on TCP"),
});
export type DashboardCode = z.infer<typeof dashboardCodeSchema>;
