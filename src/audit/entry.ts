import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { type AuditCall, type AuditEntry, type AuditNote, auditEntrySchema } from "../contract/audit.ts";
import { canonicalJson } from "../contract/canonical-json.ts";

/** What comes before the first entry. */
export const NO_HASH = "0".repeat(64);
/** No entry is longer, as a line: arguments are cut before they are. */
export const MAX_LINE_BYTES = 128 * 1024;

/** A point of the chain: the entry of that number has that hash. */
export interface ChainPoint {
  seq: number;
  hash: string;
}

export const CHAIN_START: ChainPoint = { seq: 0, hash: NO_HASH };

/** The entry that comes after a point of the chain, and its line with its break. */
export function chain(
  key: KeyObject,
  before: ChainPoint,
  at: string,
  content: AuditCall | { note: AuditNote },
): { entry: AuditEntry; line: string } {
  const open = { ...content, seq: before.seq + 1, at, prevHash: before.hash };
  const { hash, text } = seal(key, open);
  return { entry: { ...open, hash } as AuditEntry, line: `${text}\n` };
}

/** For the chain's HMAC. */
export function toKey(bytes: Buffer): KeyObject {
  return createSecretKey(bytes);
}

/** The hash of an entry that has none yet, and the canonical JSON of both. */
function seal(key: KeyObject, open: object): { hash: string; text: string } {
  const members = Object.entries(open)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, text: `${JSON.stringify(name)}:${canonicalJson(value)}` }));
  const textOf = () => `{${members.map(({ text }) => text).join(",")}}`;
  const hash = createHmac("sha256", key).update(textOf()).digest("hex");
  const behind = members.findIndex(({ name }) => name > "hash");
  members.splice(behind < 0 ? members.length : behind, 0, { name: "hash", text: `"hash":"${hash}"` });
  return { hash, text: textOf() };
}

/** The entry of a line without its break, as it says that it is; undefined when it says no such thing. */
export function readLine(line: Buffer): AuditEntry | undefined {
  try {
    const parsed = auditEntrySchema.safeParse(JSON.parse(line.toString("utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The entry of a line that is as it was written, by whichever version: only this spelling of it is taken.
 */
export function readSealed(key: KeyObject, line: Buffer): AuditEntry | undefined {
  try {
    const { hash: _hash, ...open } = JSON.parse(line.toString("utf8"));
    return Buffer.from(seal(key, open).text).equals(line) ? readLine(line) : undefined;
  } catch {
    return undefined;
  }
}
