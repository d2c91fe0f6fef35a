import { SERVER_NAME_PATTERN } from "../../contract/server.ts";

const MAX_LENGTH = 24;

/** The name of a server that is nearest to what a client's file calls it: `GitHub_MCP` is `github-mcp`. */
export function normaliseName(given: string): string {
  const plain = given
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  return trim(plain) || "server";
}

/** Names for all, in order: those that do stay as they are, whatever stands before them; others are numbered where they meet. */
export function normaliseNames(given: readonly string[]): string[] {
  const taken = new Set(given.filter((name) => SERVER_NAME_PATTERN.test(name)));
  return given.map((name) => {
    if (SERVER_NAME_PATTERN.test(name)) return name;
    const wanted = normaliseName(name);
    for (let number = 1; ; number++) {
      const suffix = number === 1 ? "" : `-${number}`;
      const candidate = `${trim(wanted.slice(0, MAX_LENGTH - suffix.length))}${suffix}`;
      if (taken.has(candidate)) continue;
      taken.add(candidate);
      return candidate;
    }
  });
}

function trim(name: string): string {
  return name
    .slice(0, MAX_LENGTH + 1)
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, MAX_LENGTH)
    .replaceAll(/-+$/g, "");
}
