import { FirebreakError } from "../../errors/firebreak-error.ts";

/** Whose file: the user's own, or that of the project in the working directory. */
export const SCOPES = ["user", "project"] as const;
export type Scope = (typeof SCOPES)[number];

/** What a client is to start, or to connect to. No key's value is ever in it, only the name of a variable. */
export type ServerEntry =
  | {
      transport: "stdio";
      command: string;
      args: string[];
      /** With their values. */
      env: Record<string, string>;
      /** What the server has as FIREBREAK_API_KEY: the value of this variable of the client's environment. */
      keyEnv?: string;
    }
  | {
      transport: "http";
      url: string;
      /** The endpoint speaks the transport of 2024-11-05: HTTP with server-sent events. */
      isSse: boolean;
      /** The variable of the client's environment whose value is the bearer token. */
      keyEnv?: string;
    };

/** Where a client looks for its files. */
export interface Place {
  env: NodeJS.ProcessEnv;
  home: string;
  cwd: string;
  platform: NodeJS.Platform;
  /** Some clients have one of several names for their file: the one that is there counts. */
  isThere: (file: string) => boolean;
}

export type JsonObject = Record<string, unknown>;

/** An MCP client's own configuration, as far as it names MCP servers. All functions are pure. */
export interface ClientConfig {
  id: string;
  /** As its makers write it. */
  name: string;
  /** The first is the default. */
  scopes: readonly Scope[];
  /** Started from a desktop, without the PATH of a shell. */
  isDesktop: boolean;
  file: (scope: Scope, place: Place) => string;
  /**
   * The file's text with an entry added, or brought to what it should be; comments, order, formatting and all that is not ours stay, and so do the
   * entry's own settings that say nothing of command or URL. Returns the same text where it has the entry. Throws CLIENT_CONFIG_INVALID with line and
   * column where the text is not of the file's format, and INVALID_ARGUMENT where the client cannot do what is asked.
   */
  merge: (text: string, name: string, server: ServerEntry) => string;
  /** The text without the entry; the same text where it has none. Throws CLIENT_CONFIG_INVALID. */
  remove: (text: string, name: string) => string;
  /** The entry of that name as data; undefined where there is none. Throws CLIENT_CONFIG_INVALID. */
  find: (text: string, name: string) => unknown;
}

/** What of an entry's `env` is ours: the rest is the user's. */
export const OWN_ENV = ["FIREBREAK_HOME", "FIREBREAK_RUNTIME_DIR", "FIREBREAK_URL", "FIREBREAK_API_KEY"];

/** `env` of a stdio entry, `reference` being how the client writes the value of a variable of its environment. */
export function envOf(
  server: Extract<ServerEntry, { transport: "stdio" }>,
  reference: (variable: string) => string,
): Record<string, string> {
  return { ...server.env, ...(server.keyEnv === undefined ? {} : { FIREBREAK_API_KEY: reference(server.keyEnv) }) };
}

/** `headers` of an HTTP entry; none without a key. */
export function headersOf(
  server: Extract<ServerEntry, { transport: "http" }>,
  reference: (variable: string) => string,
): JsonObject {
  return server.keyEnv === undefined ? {} : { headers: { Authorization: `Bearer ${reference(server.keyEnv)}` } };
}

/** `key: value`, or nothing where the object has no members. */
export function unlessEmpty(key: string, value: Record<string, string>): JsonObject {
  return Object.keys(value).length === 0 ? {} : { [key]: value };
}

/** For clients that have no way to name a variable in place of its value. */
export function refuseKeyReference(client: string): never {
  throw new FirebreakError("INVALID_ARGUMENT", `${client} cannot read an API key from its environment`, {
    hint: "The key's value does not belong in its file: use this host's daemon over stdio (--transport stdio, without FIREBREAK_URL), or start 'firebreak mcp-bridge --url URL --api-key-file FILE' from it.",
  });
}

export function invalidConfig(what: string, line: number, column: number, hint?: string): FirebreakError {
  return new FirebreakError("CLIENT_CONFIG_INVALID", `line ${line}, column ${column}: ${what}`, {
    hint: hint ?? "Nothing was changed. Put it right, and try again.",
    details: { line, column },
  });
}
