import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** More faults than these tell nothing new. */
const MAX_FAULTS = 4;

/** Checks a call's arguments. Throws INVALID_ARGUMENT (INVALID_NAME for a VM's new name) that names each fault. */
export function parseArguments<T>(tool: string, schema: z.ZodType<T>, args: unknown): T {
  const parsed = schema.safeParse(args ?? {});
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const faults = issues.slice(0, MAX_FAULTS).map((issue) => describeIssue(issue, args));
  const isName = issues.length === 1 && issues[0]?.path.join(".") === "name";
  throw new FirebreakError(isName ? "INVALID_NAME" : "INVALID_ARGUMENT", `${tool}: ${faults.join("; ")}`, {
    hint: `${tool} takes ${describeKeys(schema)}.`,
  });
}

function describeIssue(issue: z.core.$ZodIssue, args: unknown): string {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => `'${path === "" ? key : `${path}.${key}`}'`);
    return `unknown argument${keys.length > 1 ? "s" : ""} ${keys.join(", ")}`;
  }
  if (path === "") return issue.message;
  if (issue.code === "invalid_type" && valueAt(args, issue.path) === undefined) return `'${path}' is missing`;
  return `'${path}': ${issue.message}`;
}

function valueAt(args: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], args);
}

function describeKeys(schema: z.ZodType): string {
  const { properties = {}, required = [] } = toJsonSchema(schema, "input");
  const names = Object.keys(properties).map((name) => (required.includes(name) ? name : `${name}?`));
  return names.length === 0 ? "no arguments" : names.join(", ");
}

/** The part of JSON Schema that tools are described with. */
export interface ObjectJsonSchema {
  type: "object";
  properties?: Record<string, Record<string, unknown>>;
  required?: string[];
  additionalProperties?: boolean;
  [key: string]: unknown;
}

/** A schema as plain JSON Schema 2020-12: no $ref, and none of the keywords that some clients' models refuse. */
export function toJsonSchema(schema: z.ZodType, side: "input" | "output"): ObjectJsonSchema {
  // Without $schema, which is that of the draft anyway: a model reads each.
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io: side,
    reused: "inline",
    override: ({ jsonSchema }) => {
      // A record's keys are strings anyway; whole numbers are safe ones anyway.
      delete jsonSchema.propertyNames;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return rest as ObjectJsonSchema;
}
