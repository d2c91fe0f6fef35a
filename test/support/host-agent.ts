import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection } from "../../src/guest/connection.ts";
import type { VmmConfig } from "../../src/vmm/driver.ts";
import { FakeDriver } from "./fake-driver.ts";

/** The real guest agent as a process of this host, with a client attached. `close` ends it. */
export async function startHostAgent() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-agent-"));
  const driver = new FakeDriver();
  const record = await driver.start({
    runtimeDir: path.join(folder, "run"),
    logPath: path.join(folder, "log"),
  } as VmmConfig);
  const connection = new GuestConnection({ open: () => driver.openChannel(record), attachDeadlineMs: 10_000 });
  const close = async () => {
    connection.close();
    await driver.kill(record);
    rmSync(folder, { recursive: true, force: true });
  };
  return { client: new GuestClient(connection), connection, record, scratch: path.join(folder, "scratch"), close };
}
