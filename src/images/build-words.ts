/** Thrown on a text that a shell could not split either; whoever reads a file turns it into the error of that line. */
export class WordError extends RangeError {}

/**
 * Splits a text into words as a shell would: blanks part them, quotes and '\' hold them together, and $NAME and ${NAME} stand for values
 * outside of single quotes. A value is never split. Throws WordError.
 */
export function splitWords(text: string, lookup: (name: string) => string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const add = (piece: string) => {
    word = (word ?? "") + piece;
  };
  let quote: "" | "'" | '"' = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quote === "'") {
      if (char === "'") quote = "";
      else add(char);
    } else if (char === "\\") {
      const next = text[++at];
      if (next === undefined) throw new WordError("it ends with '\\'");
      // Between double quotes it is only before these a sign of its own.
      add(quote === '"' && !['"', "\\", "$"].includes(next) ? `\\${next}` : next);
    } else if (char === "$") {
      const { name, length } = variableAt(text, at);
      add(name === "" ? "$" : lookup(name));
      at += length - 1;
    } else if (char === quote) {
      quote = "";
    } else if (quote === "" && (char === "'" || char === '"')) {
      quote = char;
      add("");
    } else if (quote === "" && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      add(char);
    }
  }
  if (quote !== "") throw new WordError(`a ${quote} has no end`);
  return word === undefined ? words : [...words, word];
}

function variableAt(text: string, at: number): { name: string; length: number } {
  const rest = text.slice(at, at + 300);
  const plain = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(rest) ?? /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}/.exec(rest);
  if (plain !== null) return { name: plain[1] as string, length: plain[0].length };
  if (rest.startsWith("${")) throw new WordError("of what may stand in braces behind a $ only a name is supported");
  return { name: "", length: 1 };
}
