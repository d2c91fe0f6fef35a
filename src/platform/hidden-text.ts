/** Characters that a reader does not see, or that change what he sees: as a class of a regular expression with the flag `v`. */
const CONTROLS = "[\\p{Cc}--[\\t\\n\\r]]";
const FORMATS = "\\p{Cf}\\u2028\\u2029";
/** Zero-width characters, fillers, variation selectors, tags, and what Unicode keeps free for more of these. */
const IGNORABLE = "\\p{Default_Ignorable_Code_Point}";
const PRIVATE_AND_LONE = "\\p{Co}\\p{Cs}";
/** Any of them, besides tab and line breaks. */
export const HIDDEN = `[${CONTROLS}${FORMATS}${IGNORABLE}${PRIVATE_AND_LONE}]`;

const EVERY_HIDDEN = new RegExp(HIDDEN, "gv");

/** Text with all that is hidden in it written out, such as `\u{202e}`; line breaks and tabs stay. A backslash that is there by itself stays one. */
export function showHidden(text: string): string {
  return replaceHidden(text, (point) => `\\u{${point.toString(16)}}`);
}

/** The same in another notation: `write` gets the code point. */
export function replaceHidden(text: string, write: (point: number) => string): string {
  return text.replace(EVERY_HIDDEN, (char) => write(char.codePointAt(0) ?? 0));
}

export function stripHidden(text: string): string {
  return text.replace(EVERY_HIDDEN, "");
}

/** For a message: on one line, all visible, at most so many characters. */
export function quoteBriefly(text: string, most = 80): string {
  const shown = showHidden(text.slice(0, most + 1)).replace(/\s+/g, " ");
  return shown.length > most ? `${shown.slice(0, most)}…` : shown;
}
