import { z } from "zod";
import type { FirebreakError } from "../../errors/firebreak-error.ts";
import { findNearest } from "../../errors/nearest.ts";
import { type ConfigDocument, configError, errorAt, formatKey, type KeyPath } from "./document.ts";

/** What a table's values come to. Throws CONFIG_INVALID for the first that is wrong, with its line and key. */
export function checkTable<T extends z.ZodType>(
  schema: T,
  value: unknown,
  at: { document: ConfigDocument; path: KeyPath },
): z.output<T> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw toConfigError(schema, parsed.error.issues, at);
}

/** The same for issues that others have found, of what `schema` is a schema of. */
export function toConfigError(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  { document, path }: { document: ConfigDocument; path: KeyPath },
): FirebreakError {
  const found = issues.map(innermost);
  const issue = mostTelling(found) as z.core.$ZodIssue;
  const inner = issue.path.filter((part) => typeof part !== "symbol");
  const whole = [...path, ...inner];
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    return unknownKey(document, whole, key, knownKeys(schema, inner));
  }
  if (issue.code === "invalid_key") return errorAt(document, whole, innerMessage(issue.issues) ?? issue.message);
  const isMissing = issue.code === "invalid_type" && issue.input === undefined;
  return errorAt(document, whole, isMissing ? "it is missing" : issue.message);
}

/** `there is no key 'servers.web.memroy', did you mean 'memory'?` */
export function unknownKey(
  document: ConfigDocument,
  table: KeyPath,
  key: string,
  known: readonly string[],
): FirebreakError {
  const nearest = findNearest(key, known);
  const meant = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean '${nearest}'?`;
  return configError(
    { file: document.file, line: document.lineOf([...table, key]) },
    `there is no key '${formatKey(document.nameOf?.([...table, key]) ?? [...table, key])}', ${meant}`,
  );
}

function innerMessage(issues: readonly z.core.$ZodIssue[] | undefined): string | undefined {
  return issues?.[0]?.message;
}

/** A misspelt key explains the one that is missing. */
function mostTelling(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  return issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
}

/** Of a union, the issue of the member that the value was meant as: the one that found fault within it. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  for (const issues of issue.errors) {
    const first = mostTelling(issues);
    if (first === undefined) continue;
    const isWithin = first.path.length > 0 || first.code !== "invalid_type";
    if (isWithin) return innermost({ ...first, path: [...issue.path, ...first.path] });
  }
  return issue;
}

function knownKeys(schema: z.ZodType, path: KeyPath): string[] {
  const known = objectsAt(schema, path).flatMap((object) => Object.keys(object.shape));
  return [...new Set(known)];
}

function objectsAt(schema: z.core.$ZodType, path: KeyPath): z.ZodObject[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    return objectsAt(schema.unwrap(), path);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => objectsAt(option, path));
  const [key, ...rest] = path;
  if (key === undefined) return schema instanceof z.ZodObject ? [schema] : [];
  if (schema instanceof z.ZodArray) return objectsAt(schema.element, rest);
  if (schema instanceof z.ZodRecord) return objectsAt(schema.valueType, rest);
  const member = schema instanceof z.ZodObject ? schema.shape[String(key)] : undefined;
  return member === undefined ? [] : objectsAt(member, rest);
}
