import type { DefinitionKind } from "../../contract/scan.ts";

/** A definition as a server sent it: whatever is in it is hostile. */
export type Definition = Readonly<Record<string, unknown>>;

/** What a server offers. Entries are what its lists held, unchecked. */
export interface ServerDefinitions {
  tools?: readonly unknown[];
  prompts?: readonly unknown[];
  resources?: readonly unknown[];
  resourceTemplates?: readonly unknown[];
}

/** Each list with the kind of what is in it, in the order in which all that goes over definitions goes. */
export const LISTS = [
  ["tool", "tools"],
  ["prompt", "prompts"],
  ["resource", "resources"],
  ["resource_template", "resourceTemplates"],
] as const satisfies readonly (readonly [DefinitionKind, keyof ServerDefinitions])[];

/** Of each kind. More is of no use to a model, whose context they fill: it is neither looked at nor offered. */
export const MAX_DEFINITIONS = 1_000;
/** The specification's most for a tool's name; a URI may be longer. */
const MAX_NAME = 128;
const MAX_URI = 4_096;

/** What a definition is known by: its name, a resource its URI. Undefined when it has none that is of use. */
export function keyOf(kind: DefinitionKind, definition: unknown): string | undefined {
  if (!isDefinition(definition)) return undefined;
  const key =
    kind === "resource" ? definition.uri : kind === "resource_template" ? definition.uriTemplate : definition.name;
  const most = kind === "resource" || kind === "resource_template" ? MAX_URI : MAX_NAME;
  return typeof key === "string" && key !== "" && key.length <= most && key.isWellFormed() ? key : undefined;
}

export function isDefinition(value: unknown): value is Definition {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
