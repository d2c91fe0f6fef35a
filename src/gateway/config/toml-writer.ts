/** TOML as people would write it: a line for each key, inline tables within lists. */

export function writeKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : writeText(key);
}

export function writeText(text: string): string {
  // What JSON escapes TOML reads in the same way, but for DEL, and for halves of pairs, which no TOML can hold.
  return JSON.stringify(text.toWellFormed()).replaceAll("\u007f", "\\u007f");
}

/** Throws for what TOML has no form for. */
export function writeValue(value: unknown): string {
  if (typeof value === "string") return writeText(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(writeValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined && member !== null);
    return members.length === 0
      ? "{}"
      : `{ ${members.map(([key, member]) => `${writeKey(key)} = ${writeValue(member)}`).join(", ")} }`;
  }
  throw new TypeError(`${typeof value} cannot be written`);
}

/** A comment's lines; line breaks and control characters of the text cannot end it. */
export function writeComment(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are replaced
  return `# ${text.toWellFormed().replaceAll(/[\u0000-\u001f\u007f]+/g, " ")}`;
}
