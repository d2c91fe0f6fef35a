import type { Writable } from "node:stream";

/** Writes pieces and resolves when more may be written; also when the stream ends meanwhile, which its own listeners hear of. */
export async function writeWhole(target: Writable, ...pieces: Uint8Array[]): Promise<void> {
  let hasRoom = true;
  for (const piece of pieces) hasRoom = target.destroyed || target.write(piece);
  if (hasRoom) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      target.off("drain", done);
      target.off("close", done);
      target.off("error", done);
      resolve();
    };
    target.on("drain", done);
    target.on("close", done);
    target.on("error", done);
  });
}
