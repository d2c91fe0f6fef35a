/** How much of one definition is looked at. */
export const MAX_DEPTH = 64;
export const MAX_NODES = 20_000;
/** Of one text, in UTF-16 units. */
export const MAX_TEXT = 64 * 1024;
const MAX_ALL_TEXT = 1024 * 1024;

/** A text of a definition: a value, or the name of a member. */
export interface PlacedText {
  where: string;
  text: string;
  isKey: boolean;
}

export interface Walk {
  texts: PlacedText[];
  /** Of the levels that were looked at. */
  depth: number;
  /** About what it takes as JSON, in UTF-16 units. */
  size: number;
  /** Why it was not looked at whole. */
  cut?: "depth" | "members" | "text";
}

/** All texts of a value, without recursion and within bounds: JSON of any depth and size comes back at once. */
export function walk(value: unknown): Walk {
  const found: Walk = { texts: [], depth: 0, size: 0 };
  const waiting: { value: unknown; where: string; depth: number }[] = [{ value, where: "", depth: 1 }];
  let nodes = 0;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (at.depth > MAX_DEPTH) {
      found.cut ??= "depth";
      continue;
    }
    found.depth = Math.max(found.depth, at.depth);
    if (typeof at.value === "string") addText(found, at.where, at.value, false);
    else if (typeof at.value === "object" && at.value !== null) {
      const isList = Array.isArray(at.value);
      // Only as many as may be looked at: a list of 10^7 is not copied.
      for (const key in at.value) {
        if (!Object.hasOwn(at.value, key)) continue;
        if (++nodes > MAX_NODES) {
          found.cut ??= "members";
          break;
        }
        const where = isList ? `${at.where}[${key}]` : join(at.where, key);
        if (!isList) addText(found, where, key, true);
        waiting.push({ value: (at.value as Record<string, unknown>)[key], where, depth: at.depth + 1 });
      }
    } else found.size += 6;
  }
  // A stack yields the last member first.
  found.texts.reverse();
  return found;
}

function addText(found: Walk, where: string, text: string, isKey: boolean): void {
  found.size += text.length + 3;
  if (found.size > MAX_ALL_TEXT || text.length > MAX_TEXT) found.cut ??= "text";
  if (found.size <= MAX_ALL_TEXT + MAX_TEXT) found.texts.push({ where, text: text.slice(0, MAX_TEXT), isKey });
}

/** Long keys are told apart by what they begin with; a path is for people. */
function join(where: string, key: string): string {
  const name = /^[\w$-]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, 64));
  const joined = where === "" ? name : `${where}.${name}`;
  return joined.length > 512 ? `…${joined.slice(-511)}` : joined;
}
