import type { ConfigDocument } from "./document.ts";
import type { ConfigWarning } from "./layers.ts";
import { SecretNames } from "./secret-names.ts";

/** What the servers of one client's file have in common while they become firebreak's. */
export interface Conversion {
  home: string;
  folder: string;
  /** Tokens that stand in the file become secrets; otherwise they stay, and are told. */
  moveTokens: boolean;
  names: SecretNames;
}

export function createConversion(options: Omit<Conversion, "names">): Conversion {
  return { ...options, names: new SecretNames() };
}

/** A server as `[servers.NAME]` would have it, before it is checked. */
export interface ConvertedServer {
  table: Record<string, unknown>;
  /** Its lines are those of the client's file. */
  document: ConfigDocument;
  warnings: ConfigWarning[];
  /** For people who read the table, by key; "" is of the whole. */
  notes: { key: string; text: string }[];
}
