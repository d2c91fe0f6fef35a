import { encodeJsonFrame, FRAME, FrameDecoder } from "../src/contract/frames.ts";
import { GuestClient } from "../src/guest/client.ts";
import { GuestConnection } from "../src/guest/connection.ts";
import type { VmmConfig, VmmRecord } from "../src/vmm/driver.ts";
import type { Setting } from "../test/support/vmm-setting.ts";

/** Boots a VM for a measurement and ends it afterwards. */
export async function withGuest<T>(
  setting: Setting,
  config: VmmConfig,
  work: (client: GuestClient, record: VmmRecord) => Promise<T>,
): Promise<T> {
  const record = await setting.driver.start(config);
  const connection = new GuestConnection({
    open: (signal) => setting.driver.openChannel(record, signal),
    attachDeadlineMs: 60_000,
  });
  try {
    await connection.session();
    return await work(new GuestClient(connection), record);
  } finally {
    connection.close();
    await setting.driver.kill(record);
  }
}

/** Runs a command to its end; counts its output without keeping more than the last piece. */
export async function runInGuest(client: GuestClient, argv: string[]): Promise<{ bytes: number; tail: string }> {
  const stream = await client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, { argv }));
  await client.awaitHead(stream, "/v1/exec");
  const decoder = new FrameDecoder();
  let bytes = 0;
  let tail = "";
  for await (const chunk of stream) {
    for (const { type, payload } of decoder.push(chunk as Buffer)) {
      if (type !== FRAME.stdout) continue;
      bytes += payload.length;
      tail = payload.length < 4096 ? payload.toString() : "";
    }
  }
  return { bytes, tail };
}
