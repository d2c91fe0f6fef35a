import { matchedRoutes } from "hono/route";
import type { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findNearest } from "../../errors/nearest.ts";
import type { ApiContext } from "./context.ts";

/**
 * Throws INVALID_ARGUMENT on a query parameter that the request's description does not have, or with a value that it does not take: one that is
 * misspelt would be left out silently, and `recursive=yes` be a no.
 */
export async function checkQuery(context: ApiContext): Promise<void> {
  if (!context.req.url.includes("?")) return;
  // Loaded with the first query: most requests have none.
  const { ROUTES } = await import("../../contract/routes/index.ts");
  const { method } = context.req;
  const path = matchedRoutes(context).findLast((one) => one.method === method)?.path;
  const route = Object.values(ROUTES)
    .flat()
    .find((one) => one.method === method && one.path === path);
  if (route === undefined) return;
  const shape: Record<string, z.ZodType> = route.query?.shape ?? {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (!Object.hasOwn(shape, name)) throw unknownParameter(`${method} ${path}`, name, Object.keys(shape));
    checkValues(name, values, shape[name] as z.ZodType);
  }
}

function checkValues(name: string, values: string[], schema: z.ZodType): void {
  const [value = ""] = values;
  // As a client may leave a parameter out, it may leave it empty.
  if (schema.safeParse(values).success || (values.length === 1 && value === "")) return;
  if (values.length > 1) throw new FirebreakError("INVALID_ARGUMENT", `${name}: more than one is given`);
  const words = { true: true, false: false } as Record<string, unknown>;
  const meant = words[value] ?? (/^-?\d{1,15}$/.test(value) ? Number(value) : value);
  const parsed = [value, meant].map((candidate) => schema.safeParse(candidate));
  if (parsed.some(({ success }) => success)) return;
  // Of a list, what is wrong with its one member.
  const ofMember = schema.safeParse(values).error?.issues.find(({ path }) => path.length > 0);
  const issue = ofMember ?? parsed.at(-1)?.error?.issues[0];
  throw new FirebreakError("INVALID_ARGUMENT", `${name}: '${value}' is not taken: ${issue?.message}`, {
    details: { field: name },
  });
}

function unknownParameter(request: string, name: string, known: string[]): FirebreakError {
  const nearest = findNearest(name, known);
  const meant = nearest === undefined ? "" : `Did you mean '${nearest}'? `;
  const hint = known.length === 0 ? "It takes none." : `${meant}It takes ${known.join(", ")}.`;
  return new FirebreakError("INVALID_ARGUMENT", `${request} has no query parameter '${name}'`, { hint });
}
