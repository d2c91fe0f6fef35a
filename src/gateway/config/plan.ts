import type { NamedSets } from "../../network/rule-text.ts";
import type { Bounds } from "./bounds.ts";
import { type ConfigDocument, formatKey, type KeyPath } from "./document.ts";
import type { Composed, ConfigWarning, Sourced } from "./layers.ts";
import type { PathContext } from "./paths.ts";

export interface BuildContext extends PathContext {
  sets: NamedSets;
  warnings: ConfigWarning[];
}

/** A server as its layers have it. */
export interface ServerPlan {
  name: string;
  document: ConfigDocument;
  path: KeyPath;
  composed: Composed;
  bounds: Bounds;
  profile: string[];
  context: BuildContext;
}

export function warnAt(
  plan: ServerPlan,
  { layer, key }: Pick<Sourced<unknown>, "layer" | "key">,
  message: string,
): void {
  const whole = layer.isBuiltIn ? layer.path : [...layer.path, ...key];
  const { document } = layer;
  plan.context.warnings.push({
    line: document.lineOf(whole),
    key: formatKey(document.nameOf?.(whole) ?? whole),
    message,
  });
}

/** What the profiles, or the defaults, leave a server. */
export function whyBounded(profile: readonly string[], what: string): string {
  const who =
    profile.length === 0
      ? "[defaults] allow"
      : `the profile${profile.length > 1 ? "s" : ""} ${profile.join(", ")} allow${profile.length > 1 ? "" : "s"}`;
  return `${who} ${what}`;
}
