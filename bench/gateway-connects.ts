import type { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { ERAS } from "../test/support/mcp-http.ts";
import { call, type GatewaySetting } from "./gateway-setting.ts";
import { findLeftovers, takeInventory } from "./leftovers.ts";
import { type Row, round } from "./stats.ts";

const CONNECTS = 1_000;
const WARM_UPS = 50;
const MAX_RSS_RATIO = 1.1;
const MIB = 1024 ** 2;
/** Connections that nobody uses any more are kept for a while, by either end. */
const SETTLE_MS = 30_000;

/** Clients that connect, call and go, a third of them without a word. */
export async function benchConnects({ fixture, connect }: GatewaySetting, server: string): Promise<Row> {
  const { client } = fixture;
  const one = async (index: number) => {
    const mcp = await connect(server, ERAS[index % ERAS.length]);
    if (index % 3 === 0) {
      // Its stream ends in mid-call.
      const gone = call(mcp).catch(() => {});
      await (mcp.transport as StreamableHTTPClientTransport).close();
      await gone;
    } else {
      await call(mcp);
      await mcp.close();
    }
  };
  for (let index = 0; index < WARM_UPS; index++) await one(index);
  const inventory = await takeInventory(fixture);
  const before = (await client.status()).rssBytes;
  for (let index = 0; index < CONNECTS; index++) await one(index);
  const left = await findLeftovers(fixture, inventory, SETTLE_MS);
  const after = (await client.status()).rssBytes;
  return {
    what: `the daemon after ${CONNECTS} clients that connect, call and go, a third of them abruptly`,
    unit: "MiB",
    value: round(after / MIB),
    note: left.length === 0 ? "no process, VM, socket or file is left" : `left: ${left.join("; ")}`,
    floor: round(before / MIB),
    floorIs: "the same daemon before them",
    bar: `at most ${MAX_RSS_RATIO} x the floor (is ${round(after / before, 2)} x), and nothing left`,
    limit: round((before / MIB) * MAX_RSS_RATIO),
    holds: after <= before * MAX_RSS_RATIO && left.length === 0,
  };
}
