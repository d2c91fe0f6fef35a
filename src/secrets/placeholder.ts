import { randomInt } from "node:crypto";

const CLASSES = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"] as const;
const ALNUM = CLASSES.join("");
/** Beginnings by which programs tell what a key is of, such as `sk-ant-api03-` or `ghp_`. */
const PREFIX = /^(?:[A-Za-z0-9]{1,8}[-_]){1,3}|^A[KS]IA/;
const MAX_PREFIX = 16;
/** Too many to be hit upon. */
const MIN_RANDOM = 20;

/** Something of the same shape as a value, so that programs that look at it take it: same beginning, same kinds of characters at their places, random. */
export function makePlaceholder(value: string): string {
  const found = PREFIX.exec(value)?.[0] ?? "";
  // Never so much that the rest could be guessed.
  const prefix = found.length <= Math.min(MAX_PREFIX, value.length / 2) ? found : "";
  let random = 0;
  let text = prefix;
  for (const character of value.slice(prefix.length)) {
    const same = CLASSES.find((characters) => characters.includes(character));
    if (same !== undefined) random++;
    // Of what is in no class, what may stand in a header, a URL and a JSON text as it is.
    text += same === undefined ? (/[-_.]/.test(character) ? character : draw(ALNUM)) : draw(same);
    if (text.length >= 256) break;
  }
  while (random++ < MIN_RANDOM) text += draw(ALNUM);
  return text;
}

function draw(characters: string): string {
  return characters[randomInt(characters.length)] as string;
}
