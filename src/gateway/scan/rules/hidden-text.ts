import type { Severity } from "../../../contract/scan.ts";
import { HIDDEN } from "../../../platform/hidden-text.ts";
import type { Rule } from "../rule.ts";

const RUN = new RegExp(`${HIDDEN}+`, "gv");
const TAG = /[\u{e0000}-\u{e007f}]/u;
/** Flags of England, Scotland and Wales: the only ones that are written with tags and in use. */
const FLAG =
  /^\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f}/u;
const BLACK_FLAG = "\u{1f3f4}";
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;
const MARK = /^[\u200e\u200f\u061c]$/;
const RIGHT_TO_LEFT = /\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana}|\p{Script=Nko}/u;
const JOINER = /^[\u200c\u200d]$/;
/** Scripts that are written with joiners. */
const JOINED =
  /(?:\p{Script=Arabic}|\p{Script=Devanagari}|\p{Script=Bengali}|\p{Script=Gurmukhi}|\p{Script=Gujarati}|\p{Script=Oriya}|\p{Script=Tamil}|\p{Script=Telugu}|\p{Script=Kannada}|\p{Script=Malayalam}|\p{Script=Sinhala}|\p{Script=Khmer}|\p{Script=Myanmar}|\p{Script=Mongolian}|\p{Script=Syriac}|\p{M})$/u;
/** What a variation selector may stand behind: pictures, digits of key caps, ideographs, Mongolian. */
const VARIED = /(?:\p{Emoji}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Script=Han}|\p{Script=Mongolian}|\p{S})$/u;
const SELECTOR = /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const PRIVATE = /\p{Co}/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC and CSI are what is looked for
const ESCAPE = /[\u{1b}\u{9b}]/u;
/** From so many on, invisible characters in a row are a message rather than an accident. */
const MANY = 4;

/** Characters that the model reads and no person sees. */
export const hiddenText: Rule = {
  code: "hidden_text",
  check: ({ kind, walk, name }, report) => {
    for (const { where, text } of walk.texts) {
      const worst = worstIn(text);
      if (worst === undefined) continue;
      const isName = kind !== "server" && text === name && ["name", "uri", "uriTemplate"].includes(where);
      const points = [...worst.run]
        .slice(0, 8)
        .map((char) => `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`);
      const reads = readTags(worst.run);
      report(
        isName ? "danger" : worst.severity,
        `${worst.what}: ${points.join(" ")}${[...worst.run].length > 8 ? " …" : ""}${reads === "" ? "" : `, which a model may read as "${reads}"`}`,
        where,
      );
    }
  },
};

interface Hidden {
  severity: Severity;
  what: string;
  run: string;
}

function worstIn(text: string): Hidden | undefined {
  let worst: Hidden | undefined;
  for (const match of text.matchAll(RUN)) {
    const found = judge(match[0], text, match.index);
    if (found === undefined) continue;
    if (found.severity === "danger") return found;
    worst ??= found;
  }
  return worst;
}

function judge(run: string, text: string, index: number): Hidden | undefined {
  // As much as one sign that is drawn may consist of.
  const before = text.slice(Math.max(0, index - 2), index);
  const after = text.slice(index + run.length, index + run.length + 2);
  const chars = [...run];
  if (TAG.test(run)) {
    const flag = before.endsWith(BLACK_FLAG) ? (FLAG.exec(run)?.[0].length ?? 0) : 0;
    if (flag !== run.length) return { severity: "danger", what: "text in tag characters, which are not drawn", run };
    return undefined;
  }
  if (BIDI.test(run)) return { severity: "danger", what: "characters that turn the direction of writing round", run };
  if (ESCAPE.test(run)) return { severity: "danger", what: "an escape sequence of terminals", run };
  if (SELECTOR.test(run)) {
    const only = chars.filter((char) => !JOINER.test(char));
    const isPicture = only.length === 1 && chars.length <= 2 && VARIED.test(before);
    if (isPicture) return undefined;
    return chars.length > 1
      ? { severity: "danger", what: "a run of variation selectors, which can carry any bytes", run }
      : { severity: "warning", what: "a variation selector where it varies nothing", run };
  }
  if (chars.length >= MANY) return { severity: "danger", what: "a run of characters that are not drawn", run };
  if (chars.length === 1 && MARK.test(run) && RIGHT_TO_LEFT.test(text)) return undefined;
  if (
    chars.length === 1 &&
    JOINER.test(run) &&
    (JOINED.test(before) || (VARIED.test(before) && /^\p{S}|^\p{Emoji}/u.test(after)))
  )
    return undefined;
  if (PRIVATE.test(run))
    return { severity: "warning", what: "characters of private use, which mean what nobody knows", run };
  // Some editors begin a text with it.
  if (run === "\ufeff" && index === 0) return undefined;
  return { severity: "warning", what: "characters that are not drawn", run };
}

/** What tag characters spell in ASCII. */
function readTags(run: string): string {
  const points = [...run].map((char) => (char.codePointAt(0) ?? 0) - 0xe0000);
  return points
    .filter((point) => point >= 0x20 && point < 0x7f)
    .slice(0, 120)
    .map((point) => String.fromCharCode(point))
    .join("");
}
