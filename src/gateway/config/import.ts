import type { SecretAws } from "../../contract/secret.ts";
import { checkTable } from "./check.ts";
import { readClientEntries } from "./client-file.ts";
import { type ConvertedServer, createConversion } from "./conversion.ts";
import type { ConfigDocument } from "./document.ts";
import { readJson } from "./json.ts";
import type { ConfigWarning } from "./layers.ts";
import { formOf, placesOf, type ReadContext, readServersFile } from "./read.ts";
import { serverTableSchema } from "./schema.ts";
import type { FoundSecret } from "./secret-names.ts";
import { toServerTable } from "./server-table.ts";
import { readToml } from "./toml.ts";
import { writeComment, writeKey, writeValue } from "./toml-writer.ts";

/** A token that stood in a file, as the vault is to have it. */
export interface ImportedSecret extends FoundSecret {
  value: string;
  aws?: SecretAws;
}

export interface ImportedServers {
  /** firebreak.toml, without any token of the file's. */
  toml: string;
  /** Tokens that stood in the file, for the vault. */
  secrets: ImportedSecret[];
  /** Secrets that servers need, and whose values the file does not have. */
  needed: FoundSecret[];
  /** As the file calls them, and as firebreak does. */
  servers: { name: string; given: string }[];
  /** What is left to look at, by server: the comments of the file. */
  notes: { server: string; text: string }[];
  warnings: ConfigWarning[];
}

/** A client's servers as firebreak.toml. Throws CONFIG_INVALID with file, line and key. */
export function importServers(text: string, file: string, context: ReadContext = {}): ImportedServers {
  const document: ConfigDocument = formOf(text, file) === "json" ? readJson(text, file) : readToml(text, file);
  const conversion = createConversion({ ...placesOf(file, context), moveTokens: true });
  const warnings: ConfigWarning[] = [];
  const notes: ImportedServers["notes"] = [];
  const sections: string[] = [];
  const entries = readClientEntries(document);
  // Once for the tokens of all: one that is known by its name here may stand without one there.
  for (const entry of entries) toServerTable(entry, conversion);
  for (const entry of entries) {
    const converted = toServerTable(entry, conversion);
    warnings.push(...converted.warnings);
    notes.push(...converted.notes.map(({ text: note }) => ({ server: entry.name, text: note })));
    // What the file has wrong is told with its line, not with one of a file that nobody has written.
    checkTable(serverTableSchema, converted.table, { document: converted.document, path: ["servers", entry.name] });
    sections.push(writeServer(entry, converted));
  }
  const toml = sections.length === 0 ? "" : `${sections.join("\n")}`;
  readServersFile(toml, "firebreak.toml", context);
  const found = conversion.names.list();
  return {
    toml,
    secrets: withAws(found.filter((secret): secret is ImportedSecret => secret.value !== undefined)),
    needed: found.filter(({ value }) => value === undefined),
    servers: entries.map(({ name, given }) => ({ name, given })),
    notes,
    warnings,
  };
}

/** A secret access key of AWS signs, with the id that stood beside it; it is set when that is there. */
function withAws(secrets: ImportedSecret[]): ImportedSecret[] {
  const has = (name: string) => secrets.some((secret) => secret.name === name);
  if (!has("AWS_ACCESS_KEY_ID") || !has("AWS_SECRET_ACCESS_KEY")) return secrets;
  const aws: SecretAws = {
    accessKeyId: "AWS_ACCESS_KEY_ID",
    ...(has("AWS_SESSION_TOKEN") ? { sessionToken: "AWS_SESSION_TOKEN" } : {}),
  };
  const isKey = ({ name }: ImportedSecret) => name === "AWS_SECRET_ACCESS_KEY";
  return [
    ...secrets.filter((secret) => !isKey(secret)),
    ...secrets.filter(isKey).map((secret) => ({ ...secret, aws })),
  ];
}

/** In the order that people read. */
const FIRST = ["url", "transport", "command", "image", "args", "cwd", "vm_profile"];
const ORDER = [...FIRST, ...Object.keys(serverTableSchema.shape).filter((key) => !FIRST.includes(key))];

/** Tables below a server's, behind its other keys. */
const BELOW = ["env", "headers", "oauth", "tools", "limits", "labels", "host_addresses"];

function writeServer({ name, given }: { name: string; given: string }, { table, notes }: ConvertedServer): string {
  const noteOf = (key: string) => notes.filter((note) => note.key === key).map((note) => note.text);
  const lines = [
    ...(given === name ? [] : [writeComment(`'${given}' in the client's file`)]),
    ...noteOf("").map(writeComment),
    `[servers.${writeKey(name)}]`,
  ];
  const keys = ORDER.filter((key) => table[key] !== undefined);
  for (const key of keys.filter((each) => !BELOW.includes(each))) {
    lines.push(...noteOf(key).map(writeComment));
    lines.push(`${key} = ${writeValue(table[key])}`);
  }
  for (const key of keys.filter((each) => BELOW.includes(each))) {
    lines.push("", `[servers.${writeKey(name)}.${key}]`);
    for (const [member, value] of Object.entries(table[key] as object))
      lines.push(`${writeKey(member)} = ${writeValue(value)}`);
  }
  return `${lines.join("\n")}\n`;
}
