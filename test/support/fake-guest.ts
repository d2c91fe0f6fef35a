import { Readable } from "node:stream";
import { TAR_END, tarPadding } from "../../src/archive/tar-format.ts";
import { type TarItem, tarHead } from "../../src/archive/tar-writer.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { GuestClient } from "../../src/guest/client.ts";

export interface FakeEntry extends Partial<Omit<TarItem, "path" | "target">> {
  path: string | Buffer;
  content?: string;
  target?: string;
}

/** An archive as a guest might send it, honest or not. */
export function packEntries(entries: readonly FakeEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = "", target, ...rest }) => {
    const head = tarHead({
      type: target === undefined ? "file" : "symlink",
      mode: 0o644,
      mtimeMs: 0,
      sizeBytes: content.length,
      ...rest,
      path: Buffer.from(path as string),
      ...(target === undefined ? {} : { target: Buffer.from(target) }),
    });
    return [head, Buffer.from(content), tarPadding(content.length)];
  });
  return Buffer.concat([...blocks, TAR_END]);
}

/** A guest whose workspace is what the test says; without an archive it has none yet. It takes whatever is pushed. */
export function fakeGuest(archive?: () => Readable | Buffer): GuestClient {
  const info = { path: "/workspace", type: "directory", sizeBytes: 0, mode: "0755", uid: 0, gid: 0, mtimeMs: 0 };
  return {
    stat: async () => {
      if (archive === undefined) throw new FirebreakError("FILE_NOT_FOUND", "none");
      return info;
    },
    readArchive: async () => {
      const sent = archive?.() ?? Buffer.alloc(0);
      return sent instanceof Readable ? sent : Readable.from([sent]);
    },
    writeArchive: async (_path: string, body: Readable) => {
      for await (const _ of body); // all is taken
      return { entries: 0, bytes: 0 };
    },
    deleteFile: async () => {},
  } as Partial<GuestClient> as GuestClient;
}
