import { FirebreakError } from "../errors/firebreak-error.ts";

const NAME = /^(?!sha256:)[a-z0-9][a-z0-9._-]{0,62}(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,62})?$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Returns the name, or throws INVALID_NAME. Names become file names, so nothing else may pass. */
export function checkImageName(name: string): string {
  if (NAME.test(name)) return name;
  throw new FirebreakError("INVALID_NAME", `${JSON.stringify(name)} cannot be an image's name`, {
    hint: "A name begins with a-z or 0-9 and goes on with a-z, 0-9, '.', '_' and '-', at most 63 characters; a ':' and a tag may follow.",
  });
}

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The folder of an image: the first 16 hex digits of its digest. */
export function digestFolder(digest: string): string {
  if (!isDigest(digest)) throw new FirebreakError("INVALID_ARGUMENT", `${JSON.stringify(digest)} is not a digest`);
  return digest.slice("sha256:".length, "sha256:".length + 16);
}
