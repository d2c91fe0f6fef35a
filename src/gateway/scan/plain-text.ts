import { stripHidden } from "../../platform/hidden-text.ts";

/** Letters of other scripts that look like Latin ones (Unicode TR 39, those that NFKC leaves), in lower case. */
const LOOKALIKES: Record<string, string> = {
  а: "a",
  в: "b",
  с: "c",
  ԁ: "d",
  е: "e",
  ё: "e",
  һ: "h",
  н: "h",
  і: "i",
  ї: "i",
  ј: "j",
  к: "k",
  ӏ: "l",
  м: "m",
  о: "o",
  р: "p",
  ԛ: "q",
  ѕ: "s",
  т: "t",
  ц: "u",
  ѵ: "v",
  ԝ: "w",
  х: "x",
  у: "y",
  ʏ: "y",
  α: "a",
  β: "b",
  ε: "e",
  η: "n",
  ι: "i",
  κ: "k",
  ν: "v",
  ο: "o",
  ρ: "p",
  σ: "o",
  τ: "t",
  υ: "u",
  χ: "x",
  γ: "y",
  ω: "w",
  ɑ: "a",
  ɡ: "g",
  ı: "i",
  ȷ: "j",
  ɩ: "i",
  ʟ: "l",
  ɴ: "n",
  ʀ: "r",
  ꜱ: "s",
  ⅼ: "l",
  օ: "o",
  ո: "n",
  ս: "u",
  հ: "h",
  ց: "g",
  ԍ: "g",
};
const EVERY_LOOKALIKE = new RegExp(`[${Object.keys(LOOKALIKES).join("")}]`, "gu");

/**
 * A text as a model may take it: lower case, nothing hidden, letters that look like Latin ones as these, no accents, quotation marks straight, spaces single.
 */
export function toPlain(text: string): string {
  return (
    stripHidden(text.normalize("NFKD"))
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .replace(EVERY_LOOKALIKE, (letter) => LOOKALIKES[letter] ?? letter)
      // Emphasis of Markdown, which is no part of the words.
      .replace(/\*/g, "")
      .replace(/[\u2018\u2019\u02bc`]/g, "'")
      .replace(/[\u201c\u201d]/g, '"')
      .replace(/\s+/g, " ")
  );
}

/** The same for two names that differ in case or in what separates their words. */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/[\s_.:/-]+/g, "");
}

/** The same for two names that look alike. */
export function skeletonOf(name: string): string {
  return foldName(toPlain(name)).replace(/0/g, "o").replace(/[1|]/g, "l").replace(/rn/g, "m").replace(/vv/g, "w");
}

/** The words of a name: `apiKey`, `api-key` and `API_KEY` are `api`, `key`. */
export function wordsOf(name: string): string[] {
  return name
    .slice(0, 256)
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
}
