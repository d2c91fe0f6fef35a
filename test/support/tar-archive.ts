import { TAR_END, tarPadding } from "../../src/archive/tar-format.ts";
import type { TarEntry } from "../../src/images/tar-reader.ts";
import { encodeHeader } from "../../src/images/tar-writer.ts";

/** A member of an archive that a test makes, honest or not. */
export interface Member extends Partial<Omit<TarEntry, "xattrs" | "offset">> {
  path: string;
  content?: string | Buffer;
  xattrs?: Record<string, string>;
}

/** A tar of members as they are given: nothing is checked. */
export function makeTar(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ content = "", xattrs = {}, ...given }) => {
    const bytes = Buffer.from(content);
    const type = given.type ?? (given.path.endsWith("/") ? "directory" : "file");
    const header = encodeHeader({
      ...{ linkTarget: "", mode: type === "directory" ? 0o755 : 0o644, uid: 0, gid: 0, mtimeSeconds: 0 },
      ...{ deviceMajor: 0, deviceMinor: 0, sizeBytes: bytes.length, xattrs: new Map(Object.entries(xattrs)) },
      ...given,
      type,
    });
    return [header, bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...blocks, TAR_END]);
}
