import { canonicalJson, digestOf } from "../../contract/canonical-json.ts";
import type { DefinitionKind } from "../../contract/scan.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { quoteBriefly } from "../../platform/hidden-text.ts";
import { type Definition, isDefinition, keyOf } from "../scan/definitions.ts";
import { walk } from "../scan/walk.ts";

/** What of a definition reaches a model, or decides what clients do with a call: what an approval is for. Icons and `_meta` do not. */
const PINNED = {
  tool: ["name", "title", "description", "annotations", "inputSchema", "outputSchema"],
  prompt: ["name", "title", "description", "arguments"],
  resource: ["uri", "name", "title", "description", "mimeType"],
  resource_template: ["uriTemplate", "name", "title", "description", "mimeType"],
} as const satisfies Record<DefinitionKind, readonly string[]>;

/** The members of a definition that are pinned. Throws SERVER_DEFINITION_INVALID on one without a name, or beyond what is looked at. */
export function pinnedOf(kind: DefinitionKind, definition: unknown): Definition {
  const key = keyOf(kind, definition);
  if (key === undefined || !isDefinition(definition))
    throw new FirebreakError("SERVER_DEFINITION_INVALID", `a ${kind} without a name of use`);
  const pinned = Object.fromEntries(PINNED[kind].map((member) => [member, definition[member]]));
  const { cut } = walk(pinned);
  // Texts are hashed whole, however long.
  if (cut === "depth" || cut === "members")
    throw new FirebreakError(
      "SERVER_DEFINITION_INVALID",
      `the ${kind} "${quoteBriefly(key)}" is too deep or too large`,
    );
  return pinned;
}

/** `sha256:` and the SHA-256 of the canonical JSON of what is pinned. Throws SERVER_DEFINITION_INVALID. */
export function hashDefinition(kind: DefinitionKind, definition: unknown): string {
  return `sha256:${digestOf(pinnedOf(kind, definition))}`;
}

/** What the hash is the hash of. Throws SERVER_DEFINITION_INVALID. */
export function textOfDefinition(kind: DefinitionKind, definition: unknown): string {
  return canonicalJson(pinnedOf(kind, definition));
}
