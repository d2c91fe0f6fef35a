import { Readable } from "node:stream";
import { describePath, HostTree } from "../archive/host-tree.ts";
import { packTree, walkTree } from "../archive/pack.ts";

/**
 * Has a host directory sent as a tar. Returns what `send` does, and the names of what a tar cannot carry. Throws what broke the reading off
 * rather than that the upload broke off.
 */
export async function uploadTree<T>(
  source: string,
  send: (body: Readable) => Promise<T>,
): Promise<{ result: T; skipped: string[] }> {
  const tree = await HostTree.open(source);
  const skipped: string[] = [];
  try {
    const items = walkTree(tree, { onSpecial: (special) => skipped.push(describePath(special)) });
    const body = Readable.from(packTree(tree, items), { objectMode: false });
    let failure: unknown;
    body.on("error", (error) => {
      failure = error;
    });
    const result = await send(body).catch((error: unknown) => {
      throw failure ?? error;
    });
    return { result, skipped };
  } finally {
    await tree.close();
  }
}
