import { HostDisk } from "../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { SavedFolder } from "../src/snapshots/saved-folder.ts";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { echoServer } from "./echo-server.ts";
import { benchConnects } from "./gateway-connects.ts";
import type { GatewaySetting } from "./gateway-setting.ts";
import { benchAtOnce, benchStart } from "./gateway-starts.ts";
import { benchKeptReady, benchWarm } from "./gateway-warm.ts";
import { connectMcp } from "./mcp.ts";
import { openPeers } from "./peers.ts";
import { RestoreFloor } from "./restore-floor.ts";
import type { Row } from "./stats.ts";

const AT_ONCE = 20;
/** Servers that are there and that nobody calls. */
const UNCALLED = ["uncalled-0", "uncalled-1"];
const RESIDENT = "kept-ready";
/** Of the one that is kept ready: any other would have stopped before its next call. */
const RESIDENT_IDLE_MS = 1_000;

/** MCP servers in VMs through the gateway, as an SDK's client on loopback calls them. */
export async function* benchGateway(setting: Setting): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  const { client } = fixture;
  try {
    const { key } = await client.keys.create({ name: "bench" });
    await client.listen({ address: "127.0.0.1:0" });
    const base = (await client.status()).listen?.url;
    const connect: GatewaySetting["connect"] = (server, era) =>
      connectMcp(new URL(`/servers/${server}/mcp`, base), key, era?.options ?? {});
    const gateway = { fixture, connect };
    const names = Array.from({ length: AT_ONCE }, (_, index) => `echo-${index}`);
    const resident = echoServer(RESIDENT, { resident: true, idleTimeoutMs: RESIDENT_IDLE_MS });
    const servers = [...[...names, ...UNCALLED].map((name) => echoServer(name)), resident];
    await client.servers.apply({ source: "bench", servers });
    await client.servers.start(RESIDENT);
    yield* await benchKeptReady(gateway, RESIDENT, 1.5 * RESIDENT_IDLE_MS);
    await client.servers.delete(RESIDENT);
    await client.servers.start("echo-0");
    const peers = await openPeers();
    try {
      yield* await benchWarm(gateway, "echo-0", peers);
    } finally {
      await peers.close();
    }
    const floor = await openFloor(setting, fixture);
    try {
      yield* await benchStart(gateway, "echo-0", floor);
      yield await benchAtOnce(gateway, names, UNCALLED, floor);
    } finally {
      floor.close();
    }
    yield await benchConnects(gateway, "echo-0");
  } finally {
    await fixture.close();
  }
}

async function openFloor(setting: Setting, { paths, client }: DaemonFixture): Promise<RestoreFloor> {
  const folder = new SavedFolder(paths.snapshots, new HostDisk(agentBinaryPath()));
  const { snapshot } = (await client.vms.list()).find(({ name }) => name === "mcp-echo-0") ?? {};
  const saved = (await folder.list(() => {})).find(({ manifest }) => manifest.id === snapshot);
  if (saved === undefined) throw new Error("the server has not been saved");
  const { rootfsPath } = await setting.library.resolveImage(saved.manifest.imageDigest, {});
  return RestoreFloor.open(saved, rootfsPath);
}
