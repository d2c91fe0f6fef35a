/** A form of a tool's input schema. Only what a form can say is one; all else is JSON. */

export type FieldKind = "string" | "number" | "integer" | "boolean" | "choice" | "json";
export interface FormField {
  name: string;
  kind: FieldKind;
  isRequired: boolean;
  hint: string;
  /** Of a choice, as JSON. */
  choices: string[];
  /** What it begins with. */
  initial: string;
}

const MAX_FIELDS = 100;
const MAX_CHOICES = 500;
type Json = Record<string, unknown>;

/** The fields of an object's schema; undefined where its members cannot be told, or are too many. */
export function fieldsOf(schema: unknown): FormField[] | undefined {
  if (!isObject(schema)) return undefined;
  const properties = isObject(schema.properties) ? Object.entries(schema.properties) : [];
  if (properties.length > MAX_FIELDS) return undefined;
  const required = Array.isArray(schema.required) ? schema.required : [];
  return properties.map(([name, property]) =>
    fieldOf(name, isObject(property) ? property : {}, required.includes(name)),
  );
}

function fieldOf(name: string, property: Json, isRequired: boolean): FormField {
  const { description, default: initial } = property;
  const values = Array.isArray(property.enum) ? property.enum : undefined;
  const kind = kindOf(property, values);
  return {
    name,
    kind,
    isRequired,
    hint: typeof description === "string" ? description.slice(0, 500) : "",
    choices: kind === "choice" ? (values ?? []).map((value) => JSON.stringify(value)) : [],
    initial: initial === undefined ? "" : kind === "string" ? String(initial) : JSON.stringify(initial),
  };
}

function kindOf({ type }: Json, values: unknown[] | undefined): FieldKind {
  if (values !== undefined && values.length > 0 && values.length <= MAX_CHOICES) return "choice";
  if (type === "string" || type === "number" || type === "integer" || type === "boolean") return type;
  return "json";
}

/** The arguments that a form says; a field that is left empty is left out. Throws SyntaxError, which names the field. */
export function argumentsOf(fields: readonly FormField[], texts: Readonly<Record<string, string>>): Json {
  const given = fields.flatMap((field): [string, unknown][] => {
    const text = texts[field.name] ?? "";
    // An empty text is one where there has to be one.
    if (text === "") return field.isRequired && field.kind === "string" ? [[field.name, ""]] : [];
    return [[field.name, field.kind === "string" ? text : parseField(field, text)]];
  });
  return Object.fromEntries(given);
}

function parseField({ name, kind }: FormField, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (kind === "integer" && !Number.isInteger(value)) throw new SyntaxError("it is a whole number");
    return value;
  } catch (error) {
    throw new SyntaxError(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
