import { z } from "zod";

/** What one request of the HTTP API is: the source of its OpenAPI document and of docs/reference/http.md. */
export interface Route {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** As the router has it: `/v1/vms/:vm`. */
  path: string;
  /** What it does, in a sentence without a full stop. */
  summary: string;
  /**
   * Each parameter with what it means to a client (a number, a boolean), whatever text carries it; an array is one that may be repeated.
   * What is not here is refused.
   */
  query?: z.ZodObject;
  body?: Body;
  answer: Answer;
  /** For callers on the UNIX socket only. */
  isLocal?: true;
}

/** `frames`: exec frames, the first of which is SPEC with what `spec` is, if anything. */
export type Body =
  | { form: "json"; schema: z.ZodType }
  | { form: "bytes"; type: string }
  | { form: "frames"; spec?: z.ZodType };

/** `also`: other media types that may be asked for with Accept or a query parameter, and what they then hold. */
export type Answer = { status?: number; also?: Record<string, string> } & (
  | { form: "json"; schema: z.ZodType }
  /** Progress, then a result of that schema, or an error; a line each. */
  | { form: "lines"; schema: z.ZodType }
  | { form: "bytes"; type: string; headers?: Record<string, string> }
  | { form: "text" }
  | { form: "frames" }
  | { form: "nothing" }
);

/** Media types of the forms that have one of their own. */
export const LINES_TYPE = "application/x-ndjson";
export const FRAMES_TYPE = "application/x-firebreak-frames";

export const jsonBody = (schema: z.ZodType): Body => ({ form: "json", schema });
export const json = (schema: z.ZodType, status = 200): Answer => ({ form: "json", schema, status });
export const lines = (schema: z.ZodType): Answer => ({ form: "lines", schema });
export const nothing: Answer = { form: "nothing", status: 204 };

/** Query parameters that several requests have. */
export const guestPath = z.string().describe("an absolute path in the guest");
export const flag = (meaning: string) => z.boolean().optional().describe(meaning);
export const peekFlag = flag(
  "it is no use of the VM: one that does not run is not brought back, and one that is idle stays so",
);
export const count = (meaning: string) => z.number().int().min(0).optional().describe(meaning);
/** What a deletion answers. */
export const deletedSchema = z.object({ deleted: z.string(), id: z.string() });
