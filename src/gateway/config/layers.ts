import type { EgressRule } from "../../contract/policy.ts";
import type { FirebreakError } from "../../errors/firebreak-error.ts";
import { type ConfigDocument, errorAt, type KeyPath } from "./document.ts";
import type { LayerTable } from "./schema.ts";

/** One of the tables that a server's configuration is made of: the defaults, a profile, its own. */
export interface Layer {
  kind: "defaults" | "profile" | "server";
  /** The profile's name. */
  profile?: string;
  table: LayerTable;
  /** Where the table stands; for a profile that is built in, where it is named. */
  document: ConfigDocument;
  path: KeyPath;
  isBuiltIn?: boolean;
}

/** A value and the layer that it comes from. `key` is below the layer's table. */
export interface Sourced<T> {
  value: T;
  layer: Layer;
  key: KeyPath;
}

/** CONFIG_INVALID at a key of a layer. */
export function errorIn({ document, path, isBuiltIn }: Layer, key: KeyPath, why: string): FirebreakError {
  return errorAt(document, isBuiltIn ? path : [...path, ...key], why);
}

/** What of a file is not wrong, and not what it seems. */
export interface ConfigWarning {
  line: number;
  /** `servers.web.allowed_hosts` */
  key: string;
  message: string;
}

type Lists = "allowed_paths" | "allowed_hosts" | "denied_hosts" | "secrets";
type Tables = "env" | "headers" | "host_addresses" | "labels";
type Scalars = Exclude<keyof LayerTable, Lists | Tables | "tools" | "limits" | "only" | "args" | "command">;

type Element<K extends Lists> = NonNullable<LayerTable[K]>[number];

/** The layers as one, each value with where it comes from. */
export interface Composed {
  get<K extends Scalars>(key: K): Sourced<NonNullable<LayerTable[K]>> | undefined;
  /** The last layer that has the key. */
  layerOf(key: string): Layer | undefined;
  command: Sourced<string[]> | undefined;
  paths: Sourced<NonNullable<LayerTable["allowed_paths"]>[number]>[];
  allow: Sourced<EgressRule>[];
  deny: Sourced<EgressRule>[];
  secrets: Sourced<NonNullable<LayerTable["secrets"]>[number]>[];
  env: Sourced<string>[];
  headers: Sourced<string>[];
  hostAddresses: Record<string, string>;
  labels: Record<string, string>;
  tools: NonNullable<LayerTable["tools"]>;
  limits: NonNullable<LayerTable["limits"]>;
  /** `args` that stand behind no command. */
  args: Sourced<string[]> | undefined;
}

/** Later layers win; lists are added up, tables merged by key. A layer that names another network drops the hosts of those before it. */
export function compose(layers: readonly Layer[]): Composed {
  const last = <K extends keyof LayerTable>(key: K): Sourced<NonNullable<LayerTable[K]>> | undefined => {
    const layer = layers.findLast(({ table }) => table[key] !== undefined);
    return layer === undefined
      ? undefined
      : { value: layer.table[key] as NonNullable<LayerTable[K]>, layer, key: [key] };
  };
  const listOf = <K extends Lists>(key: K, from = 0): Sourced<Element<K>>[] =>
    layers
      .slice(from)
      .flatMap((layer) =>
        ((layer.table[key] ?? []) as Element<K>[]).map((value, place) => ({ value, layer, key: [key, place] })),
      );
  const tableOf = (key: Tables): Sourced<string>[] => {
    const found = new Map<string, Sourced<string>>();
    for (const layer of layers) {
      const table: Record<string, string> = layer.table[key] ?? {};
      for (const [name, value] of Object.entries(table)) found.set(name, { value, layer, key: [key, name] });
    }
    return [...found.values()];
  };
  const opens = Math.max(
    0,
    layers.findLastIndex(({ table }) => table.network !== undefined && table.network !== "allowlist"),
  );
  const byName = (entries: Sourced<string>[]) =>
    Object.fromEntries(entries.map(({ key, value }) => [String(key[1]), value]));
  return {
    get: (key) => last(key),
    layerOf: (key) => layers.findLast(({ table }) => Object.hasOwn(table, key)),
    ...composeCommand(layers),
    paths: listOf("allowed_paths"),
    allow: withoutDoubles(listOf("allowed_hosts", opens)),
    deny: withoutDoubles(listOf("denied_hosts")),
    secrets: listOf("secrets"),
    env: tableOf("env"),
    headers: tableOf("headers"),
    hostAddresses: byName(tableOf("host_addresses")),
    labels: byName(tableOf("labels")),
    tools: composeTools(layers),
    limits: Object.assign({}, ...layers.map(({ table }) => table.limits ?? {})),
  };
}

function withoutDoubles(rules: Sourced<EgressRule>[]): Sourced<EgressRule>[] {
  const seen = new Set<string>();
  return rules.filter(({ value, layer }) => {
    const text = JSON.stringify(value);
    // One layer that says it twice is told of it.
    const isDouble = seen.has(text) && layer.kind !== "server";
    seen.add(text);
    return !isDouble;
  });
}

function composeCommand(layers: readonly Layer[]): Pick<Composed, "command" | "args"> {
  const index = layers.findLastIndex(({ table }) => table.command !== undefined);
  const argsIndex = layers.findLastIndex(({ table }) => table.args !== undefined);
  const [layer, argsLayer] = [layers[index], layers[argsIndex]];
  const args = argsLayer?.table.args;
  if (layer?.table.command === undefined)
    return {
      command: undefined,
      args:
        argsLayer === undefined || args === undefined ? undefined : { value: args, layer: argsLayer, key: ["args"] },
    };
  const { command } = layer.table;
  const words = typeof command === "string" ? [command] : command;
  // A later command is one with arguments of its own.
  const more = argsIndex >= index ? (args ?? []) : [];
  return { command: { value: [...words, ...more], layer, key: ["command"] }, args: undefined };
}

function composeTools(layers: readonly Layer[]): NonNullable<LayerTable["tools"]> {
  const tables = layers.map(({ table }) => table.tools ?? {});
  const allow = tables.findLast((table) => table.allow !== undefined)?.allow;
  const deny = [...new Set(tables.flatMap((table) => table.deny ?? []))];
  const rename = Object.assign({}, ...tables.map((table) => table.rename ?? {}));
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
    ...(Object.keys(rename).length === 0 ? {} : { rename }),
  };
}
