import type { Manifest } from "../snapshots/manifest.ts";
import type { SavedFolder } from "../snapshots/saved-folder.ts";
import type { VmStore } from "../vms/vm-store.ts";
import type { ImageUse } from "./image-service.ts";

/** Everything that could not be brought up without its image. What is corrupt cannot be brought up with it either. */
export async function listImageUses(
  store: Pick<VmStore, "list">,
  snapshots: SavedFolder,
  templates: SavedFolder,
): Promise<ImageUse[]> {
  const saved = async (folder: SavedFolder, kind: "snapshot" | "template"): Promise<ImageUse[]> =>
    (await folder.list(() => {})).map(({ manifest }) => ({
      kind,
      id: manifest.id,
      name: manifest.name ?? manifest.id,
      imageDigest: manifest.imageDigest,
      sizeBytes: sizeOf(manifest),
    }));
  const found = [...(await saved(snapshots, "snapshot")), ...(await saved(templates, "template"))];
  // Last, and at once: a VM that is there by now counts.
  const vms = store
    .list()
    .map(({ id, name, imageDigest }) => ({ kind: "vm" as const, id, name, imageDigest, sizeBytes: 0 }));
  return [...vms, ...found];
}

function sizeOf({ memory, state, overlay }: Manifest): number {
  return memory.dataBytes + state.sizeBytes + (overlay?.dataBytes ?? 0);
}
