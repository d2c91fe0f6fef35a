/** Text that somebody hostile may have written: guests, MCP servers, file names. React shows it as text; what is done here is about what cannot be seen. */

/** Controls but line feed and tab, what turns the direction of text around, and what has no width. */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are shown
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** The same with hidden characters written out, as in `\u{202e}`. */
export function showHidden(text: string): string {
  return text.replace(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The same, for one line: line breaks and tabs are written out, too. */
export function showLine(text: string): string {
  return showHidden(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/** JSON in lines, for people. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? "undefined";
}
