import { domainToASCII } from "node:url";

/** RFC 1035 §2.3.4, without the root's dot. */
const MAX_NAME_BYTES = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What C libraries take for an address: decimal, octal or hexadecimal parts, one to four of them (inet_aton(3)). */
const ADDRESS_PART = /^(?:0x[0-9a-f]*|\d+)$/;

/** A name in its one form (lower case, punycode, no trailing dot), or why it is none. */
export function parseName(given: string): { name: string } | { why: string } {
  const text = given.endsWith(".") ? given.slice(0, -1) : given;
  if (text === "") return { why: "the name is empty" };
  if (text.length > 4 * MAX_NAME_BYTES) return { why: `a name has at most ${MAX_NAME_BYTES} bytes` };
  const [, , inUrl] = /^([a-z][a-z0-9+.-]*:)?\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(text) ?? [];
  if (inUrl !== undefined)
    return { why: `${JSON.stringify(shorten(text))} is a URL, and a name is only ${JSON.stringify(shorten(inUrl))}` };
  if (/[[\]:]/.test(text)) return { why: `${JSON.stringify(shorten(text))} is an address, not a name` };
  const lower = text.toLowerCase();
  const isPlain = /^[\x21-\x7e]*$/.test(lower);
  // Only what is not ASCII is left to IDNA: it would turn some addresses into others.
  const name = isPlain ? lower : domainToASCII(text);
  if (name.length > MAX_NAME_BYTES) return { why: `a name has at most ${MAX_NAME_BYTES} bytes` };
  const labels = name.split(".");
  if (labels.length <= 4 && labels.every((label) => ADDRESS_PART.test(label)))
    return { why: `${JSON.stringify(shorten(text))} is an address, not a name` };
  if (name === "" || !labels.every((label) => LABEL.test(label)))
    return {
      why: `${JSON.stringify(shorten(text))} is not a name: labels of letters, digits and '-', at most 63 each`,
    };
  // A resolver would take a last label of digits for the end of an address.
  if (ADDRESS_PART.test(labels.at(-1) as string))
    return { why: `${JSON.stringify(shorten(text))} ends like an address` };
  return { name };
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
