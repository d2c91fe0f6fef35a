/** A value that must not be written, and the name that stands in its place. */
export interface MaskedValue {
  name: string;
  value: string;
}

/** Shorter ones would be found where they are none. */
const MIN_LENGTH = 6;

/**
 * A function that puts `[secret NAME]` in the place of each value in a text: as it is, in base64 (standard and URL form), and in the form that URLs have.
 */
export function createMask(values: readonly MaskedValue[]): (text: string) => string {
  const forms = values
    .filter(({ value }) => value.length >= MIN_LENGTH)
    .flatMap(({ name, value }) => formsOf(value).map((form) => ({ form, shown: `[secret ${name}]` })))
    // One may be a part of another.
    .sort((a, b) => b.form.length - a.form.length);
  return (text) => forms.reduce((masked, { form, shown }) => masked.replaceAll(form, () => shown), text);
}

function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].flatMap((shift) => {
    // Within other bytes the same value has three spellings, the ends of which depend on its neighbours.
    const padded = Buffer.concat([Buffer.alloc(shift), bytes]);
    const whole = padded.length - (padded.length % 3);
    const inner = padded
      .subarray(0, whole)
      .toString("base64")
      .slice(shift === 0 ? 0 : 4);
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const all = [value, encodeURIComponent(value.toWellFormed()), ...base64];
  return [...new Set(all)].filter((form) => form.length >= MIN_LENGTH);
}

/** A JSON value with all its texts masked, names of members too; cut where it is deeper or has more members than are kept. */
export function maskValue(value: unknown, mask: (text: string) => string, depth = 0): unknown {
  if (typeof value === "string") return mask(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "…";
  if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((member) => maskValue(member, mask, depth + 1));
  const members = Object.entries(value).slice(0, MAX_MEMBERS);
  return Object.fromEntries(members.map(([key, member]) => [mask(key), maskValue(member, mask, depth + 1)]));
}

const MAX_DEPTH = 16;
const MAX_MEMBERS = 1_000;
