import type { EgressRule } from "../contract/policy.ts";
import type { NamedSets } from "./rule-text.ts";

/** Names that services publish for their clients; `registries` is completed by what this host itself is set up with (registries.ts). */
export const BUILT_IN_SETS: Readonly<Record<string, readonly EgressRule[]>> = {
  github: [
    "github.com",
    "github.com:22",
    "api.github.com",
    "codeload.github.com",
    "uploads.github.com",
    "gist.github.com",
    "ghcr.io",
    "*.githubusercontent.com",
    "*.pkg.github.com",
  ],
  anthropic: ["api.anthropic.com:443"],
  openai: ["api.openai.com:443"],
  "google-ai": [
    "generativelanguage.googleapis.com:443",
    "aiplatform.googleapis.com:443",
    "*.aiplatform.googleapis.com:443",
  ],
};

/** All sets: the built-in ones, this host's registries, and the user's, which replace others of their names. */
export function createSets(
  registries: readonly EgressRule[],
  own: Readonly<Record<string, readonly EgressRule[]>> = {},
): NamedSets {
  return new Map(Object.entries({ ...BUILT_IN_SETS, registries, ...own }));
}
