/** JSON Schema in words, for tables of Markdown. */

export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  required?: string[];
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
}

/** `whole number`, `list of [Vm](#vm)`, `"a" or "b"`. */
export function describeType(schema: JsonSchema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split("/").at(-1) ?? "";
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts !== undefined) return parts.map(describeType).join(" or ");
  if (Array.isArray(schema.type)) return schema.type.map((type) => describeType({ ...schema, type })).join(" or ");
  switch (schema.type) {
    case "array":
      return `list of ${schema.items === undefined ? "values" : describeType(schema.items)}`;
    case "object":
      return describeObject(schema);
    case "integer":
    case "number":
      return `${schema.type === "integer" ? "whole number" : "number"}${describeBounds(schema)}`;
    case undefined:
      return "any value";
    default:
      return schema.type;
  }
}

function describeObject({ properties = {}, required = [], additionalProperties }: JsonSchema): string {
  const fields = Object.entries(properties).map(
    ([name, field]) => `\`${name}${required.includes(name) ? "" : "?"}\`: ${describeType(field)}`,
  );
  if (fields.length > 0) return `{ ${fields.join("; ")} }`;
  return typeof additionalProperties === "object" ? `map of ${describeType(additionalProperties)}` : "object";
}

function describeBounds({ minimum, maximum }: JsonSchema): string {
  if (minimum === undefined && maximum === undefined) return "";
  if (maximum === undefined) return ` from ${minimum}`;
  return minimum === undefined ? ` to ${maximum}` : ` ${minimum} to ${maximum}`;
}

/** A table of an object's fields. */
export function fieldTable({ properties = {}, required = [] }: JsonSchema): string[] {
  const rows = Object.entries(properties).map(([name, field]) => {
    const fallback = field.default === undefined ? "" : ` (default \`${JSON.stringify(field.default)}\`)`;
    const isRequired = required.includes(name);
    return `| \`${name}\`${isRequired ? "" : "?"} | ${cell(describeType(field))} | ${cell((field.description ?? "") + fallback)} |`;
  });
  return rows.length === 0 ? [] : ["| field | type | meaning |", "| --- | --- | --- |", ...rows];
}

export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ").trim();
}
