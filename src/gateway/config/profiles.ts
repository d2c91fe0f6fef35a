import { findNearest } from "../../errors/nearest.ts";
import { type Bounds, narrow, readBounds, widen } from "./bounds.ts";
import { BUILT_IN_PROFILES } from "./built-in-profiles.ts";
import { checkTable } from "./check.ts";
import { type ConfigDocument, errorAt, isTable, type KeyPath } from "./document.ts";
import type { Layer } from "./layers.ts";
import { type ProfileTable, profileTableSchema } from "./schema.ts";

/** What is told of a profile. */
export interface ProfileInfo {
  name: string;
  isBuiltIn: boolean;
  description?: string;
  extends: string[];
}

export interface ResolvedProfiles {
  layers: Layer[];
  bounds: Bounds;
}

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The profiles of a file, and those that are built in. */
export class ProfileBook {
  readonly #document: ConfigDocument;
  readonly #own = new Map<string, ProfileTable>();
  /** Those of the file that have been resolved: many may extend one. */
  readonly #resolved = new Map<string, ResolvedProfiles>();

  /** Throws CONFIG_INVALID for a profile that cannot be meant, whether or not somebody has it. */
  constructor(document: ConfigDocument, tables: unknown) {
    this.#document = document;
    if (tables === undefined) return;
    if (!isTable(tables)) throw errorAt(document, ["profiles"], "a table of profiles is wanted");
    for (const [name, value] of Object.entries(tables)) {
      const path = ["profiles", name];
      if (Object.hasOwn(BUILT_IN_PROFILES, name))
        throw errorAt(
          document,
          path,
          "there is a built-in profile of that name; give this one another, and let it extend that one",
        );
      if (!NAME.test(name)) throw errorAt(document, path, "a profile's name is made of a-z, 0-9 and '-', at most 63");
      this.#own.set(name, checkTable(profileTableSchema, value, { document, path }));
    }
    for (const name of this.#own.keys()) this.#resolve(name, { document, path: ["profiles", name] }, []);
  }

  list(): ProfileInfo[] {
    const tell = (name: string, table: ProfileTable, isBuiltIn: boolean): ProfileInfo => ({
      name,
      isBuiltIn,
      ...(table.description === undefined ? {} : { description: table.description }),
      extends: toList(table.extends),
    });
    return [
      ...Object.entries(BUILT_IN_PROFILES).map(([name, table]) => tell(name, table, true)),
      ...[...this.#own].map(([name, table]) => tell(name, table, false)),
    ];
  }

  /** All layers of the file's own profiles. */
  ownLayers(): Layer[] {
    return [...this.#own].map(([name, table]) => this.#layerOf(name, table));
  }

  /** The profiles that a server names, in order: what one of them allows, it may have. Throws CONFIG_INVALID. */
  resolve(
    names: string | readonly string[] | undefined,
    at: { document: ConfigDocument; path: KeyPath },
  ): ResolvedProfiles {
    const found = toList(names).map((name, place) =>
      this.#resolve(name, { ...at, path: typeof names === "string" ? at.path : [...at.path, place] }, []),
    );
    return {
      layers: withoutDoubles(found.flatMap(({ layers }) => layers)),
      bounds: found.map(({ bounds }) => bounds).reduce<Bounds>((all, bounds) => widen(all, bounds), {}),
    };
  }

  #resolve(name: string, at: { document: ConfigDocument; path: KeyPath }, below: readonly string[]): ResolvedProfiles {
    if (below.includes(name))
      throw errorAt(at.document, at.path, `profiles extend one another: ${[...below, name].join(", ")}`);
    const known = this.#resolved.get(name);
    if (known !== undefined) return known;
    const builtIn = Object.hasOwn(BUILT_IN_PROFILES, name) ? BUILT_IN_PROFILES[name] : undefined;
    const table = builtIn ?? this.#own.get(name);
    if (table === undefined) throw errorAt(at.document, at.path, this.#whyUnknown(name));
    const layer: Layer =
      builtIn === undefined
        ? this.#layerOf(name, table)
        : { kind: "profile", profile: name, table, ...at, isBuiltIn: true };
    const bounds = readBounds(table.only ?? {});
    if ("why" in bounds) throw errorAt(layer.document, [...layer.path, "only", bounds.key], bounds.why);
    const parents = toList(table.extends).map((parent, place) => {
      const path = [...layer.path, "extends", ...(typeof table.extends === "string" ? [] : [place])];
      return this.#resolve(parent, { document: layer.document, path }, [...below, name]);
    });
    const resolved = {
      layers: withoutDoubles([...parents.flatMap(({ layers }) => layers), layer]),
      bounds: [...parents.map((parent) => parent.bounds), bounds].reduce(narrow, {}),
    };
    if (builtIn === undefined) this.#resolved.set(name, resolved);
    return resolved;
  }

  #layerOf(name: string, table: ProfileTable): Layer {
    return { kind: "profile", profile: name, table, document: this.#document, path: ["profiles", name] };
  }

  #whyUnknown(name: string): string {
    const known = [...Object.keys(BUILT_IN_PROFILES), ...this.#own.keys()];
    const nearest = findNearest(name, known);
    const meant = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean '${nearest}'?`;
    return `there is no profile '${name}', ${meant}`;
  }
}

/** What several extend counts once, where it first stands. */
function withoutDoubles(layers: Layer[]): Layer[] {
  return [...new Map(layers.map((layer) => [layer.profile, layer])).values()];
}

export function toList(names: string | readonly string[] | undefined): string[] {
  return names === undefined ? [] : typeof names === "string" ? [names] : [...names];
}
