import { z } from "zod";
import type { ConfigDocument, KeyPath } from "./document.ts";

/** A server of another system's file, in the words of a client's. */
export interface ForeignServer {
  /** As the file calls it. */
  given: string;
  /** Where it stands in the file. */
  path: KeyPath;
  /** As an MCP client's file would have it; firebreak's own keys may stand in it. */
  value: Record<string, unknown>;
  /** Where in the file the keys of `value` come from, below `path`. */
  places: Readonly<Record<string, KeyPath>>;
  /** What does not come along, by keys below `path`. */
  told: readonly { key: KeyPath; message: string }[];
}

/** An image's name; what begins with `-` would be an option in its place. */
export const imageSchema = z.string({ error: "a text is wanted" }).regex(/^(?!-)/, "it is not the name of an image");

/** `docker run` with what a container is given: paths `host:inside[:ro]`, arguments behind the image. */
export function containerWords({ image, paths, args }: { image: string; paths: string[]; args: string[] }): {
  command: string;
  args: string[];
} {
  return { command: "docker", args: ["run", ...paths.flatMap((entry) => ["-v", entry]), image, ...args] };
}

/** The file, in which the keys of `value` are found where it has them. */
export function placedDocument(document: ConfigDocument, { path, places }: ForeignServer): ConfigDocument {
  const nameOf = (whole: KeyPath): KeyPath => {
    const [key, ...rest] = whole.slice(path.length);
    if (key === undefined || !Object.hasOwn(places, key)) return whole;
    // Of tables the members are the file's own; lists are put together anew.
    return [...path, ...(places[key] ?? []), ...(key === "env" || key === "headers" ? rest : [])];
  };
  return { file: document.file, value: document.value, nameOf, lineOf: (whole) => document.lineOf(nameOf(whole)) };
}
