import { open, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { encodeJsonFrame, FRAME, FrameDecoder } from "../contract/frames.ts";
import type { GuestClient } from "../guest/client.ts";
import type { AttachedDrive, MachineConfig } from "./driver.ts";

/** Alters a byte of a file. */
export async function flipByte(file: string, offset: number): Promise<void> {
  const handle = await open(file, "r+");
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, offset);
    await handle.write(Buffer.from([(byte[0] as number) ^ 0xff]), 0, 1, offset);
  } finally {
    await handle.close();
  }
}

/** A drive that another VM or the test left with words in it. */
export async function makeDrive(config: MachineConfig, name: string, words: string): Promise<AttachedDrive> {
  const file = path.join(path.dirname(config.logPath), `${name}-${Math.random().toString(36).slice(2, 10)}`);
  await writeFile(file, words, { mode: 0o600 });
  await truncate(file, 64 * 1024 ** 2);
  return { serial: `d-${name}`, slot: 0, path: file, readOnly: false };
}

/** What a shell in the guest prints, on both of its streams. */
export async function sh(client: GuestClient, script: string): Promise<string> {
  const stream = await client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, { argv: ["sh", "-c", script] }));
  await client.awaitHead(stream, "/v1/exec");
  const decoder = new FrameDecoder();
  let output = "";
  for await (const chunk of stream)
    for (const frame of decoder.push(chunk as Buffer))
      if (frame.type === FRAME.stdout || frame.type === FRAME.stderr) output += frame.payload.toString();
  return output;
}
