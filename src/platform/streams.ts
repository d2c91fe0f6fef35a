import type { Writable } from "node:stream";

/** Writes a piece and resolves when more may be written; also when the stream ends meanwhile, which its own listeners hear of. */
export async function writeWhole(target: Writable, bytes: Uint8Array): Promise<void> {
  if (target.destroyed || target.write(bytes)) return;
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
