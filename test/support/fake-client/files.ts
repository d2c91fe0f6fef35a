import { Readable } from "node:stream";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { FileStat } from "../../../src/guest/protocol.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, fail } from "./world.ts";

/** The bytes of a file; throws FILE_NOT_FOUND. */
export function readFile(world: FakeWorld, path: string): Buffer {
  return world.files.get(path) ?? fail(missing(path));
}

/** Files that all VMs have; a directory is what others are below. */
export function createFakeFiles(world: FakeWorld): VmClient["files"] {
  return {
    stat: async (_vm, path) => {
      if ([...world.files.keys()].some((file) => file.startsWith(`${path}/`)))
        return { ...statOf(path, Buffer.alloc(0)), type: "directory" };
      return statOf(path, readFile(world, path));
    },
    read: async (_vm, path, range = {}) => {
      const bytes = readFile(world, path);
      const end = range.length === undefined ? undefined : (range.offset ?? 0) + range.length;
      const part = bytes.subarray(range.offset ?? 0, end);
      return { stat: statOf(path, bytes), body: Readable.from(part.length === 0 ? [] : [part]) };
    },
    readArchive: async (_vm, path) => Readable.from([Buffer.from(`archive of ${path}`)]),
    write: async (_vm, path, body) => {
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of typeof body === "string" ? [Buffer.from(body)] : body) {
        length += (chunk as Buffer).length;
        if (length > world.diskBytes) throw new FirebreakError("GUEST_DISK_FULL", "no space is left");
        chunks.push(chunk as Buffer);
      }
      world.files.set(path, Buffer.concat(chunks));
      return statOf(path, Buffer.concat(chunks));
    },
    delete: async (_vm, path) => {
      if (!world.files.delete(path)) throw missing(path);
    },
    list: async (_vm, path, page = {}) => {
      const names = [...world.files.keys()]
        .filter((file) => file.startsWith(`${path}/`))
        .map((file) => file.slice(path.length + 1));
      const after = names.sort().filter((name) => page.after === undefined || name > page.after);
      const entries = after.slice(0, page.limit).map((name) => {
        const file = `${path}/${name}`;
        return { name, ...statOf(file, world.files.get(file) as Buffer) };
      });
      return { entries, more: after.length > entries.length };
    },
  };
}

function missing(path: string): FirebreakError {
  return new FirebreakError("FILE_NOT_FOUND", `${path}: no such file or directory`);
}

function statOf(path: string, bytes: Buffer): FileStat {
  return { path, type: "file", sizeBytes: bytes.length, mode: "0644", uid: 0, gid: 0, mtimeMs: 0 };
}
