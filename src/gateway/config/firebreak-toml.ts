import { checkTable, unknownKey } from "./check.ts";
import { type ConfigDocument, isTable } from "./document.ts";
import { type OwnerTables, ownerTablesSchema, TABLES } from "./schema.ts";
import { readToml } from "./toml.ts";

/** A firebreak.toml whose tables are known by name. Throws CONFIG_INVALID with line and key. */
export function readFirebreakToml(text: string, file: string): ConfigDocument {
  const document = readToml(text, file);
  for (const key of Object.keys(document.value as object))
    if (!TABLES.some((table) => table === key)) throw unknownKey(document, [], key, TABLES);
  return document;
}

/** What the owner of an installation decides. Throws CONFIG_INVALID with line and key. */
export function readOwnerTables(document: ConfigDocument): OwnerTables {
  const tables = isTable(document.value) ? document.value : {};
  const own = Object.keys(ownerTablesSchema.shape).map((name) => [name, tables[name]]);
  return checkTable(ownerTablesSchema, Object.fromEntries(own), { document, path: [] });
}
