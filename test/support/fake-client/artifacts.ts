import { Readable } from "node:stream";
import type { Artifact } from "../../../src/contract/artifact.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";

/** Artifacts in memory, of the files that `read` knows. */
export function createFakeArtifacts(read: (path: string) => Buffer): VmClient["artifacts"] {
  const kept = new Map<string, { artifact: Artifact; bytes: Buffer }>();
  const find = (name: string) => {
    const found = [...kept.values()].find(({ artifact }) => artifact.name === name || artifact.id === name);
    if (found === undefined) throw new FirebreakError("ARTIFACT_NOT_FOUND", `no artifact is named '${name}'`);
    return found;
  };
  return {
    create: async (vm, { path, name = path.split("/").at(-1) as string }) => {
      const bytes = read(path);
      const id = `a${kept.size}`;
      const artifact: Artifact = {
        ...{ id, name, kind: "file", mediaType: "text/plain", sizeBytes: bytes.length, path },
        ...{ digest: `sha256:${id}`, vm: { id: vm, name: vm }, createdAt: "2026-01-01T00:00:00.000Z" },
      };
      kept.set(id, { artifact, bytes });
      return artifact;
    },
    list: async () => [...kept.values()].map(({ artifact }) => artifact),
    get: async (name) => find(name).artifact,
    read: async (name, { offset = 0, length } = {}) => {
      const { bytes } = find(name);
      return Readable.from([bytes.subarray(offset, length === undefined ? undefined : offset + length)]);
    },
    delete: async (name) => {
      const { artifact } = find(name);
      kept.delete(artifact.id);
      return { deleted: artifact.name, id: artifact.id };
    },
  };
}
