import { once } from "node:events";
import http from "node:http";
import { hostAuthority, openOpenedPair, openTlsUpstream, secretOf } from "../test/support/opened-pair.ts";
import { median, type Row, round } from "./stats.ts";

const ROUNDS = 5;
const REQUESTS = 200;
const MAX_ADDED_MS = 5;
const NAME = "api.test";

/** A request whose TLS is opened on the host for a secret, against one that goes through as it is; the guest's share is the same for both. */
export async function* benchOpened(): AsyncGenerator<Row> {
  const upstream = await openTlsUpstream(NAME);
  const secret = secretOf("TOKEN", "a-value-of-some-length-0123", { hosts: [`${NAME}:${upstream.port}`] });
  const rule = { host: NAME, ports: "*", private: true };
  const opened = await openOpenedPair([rule], [NAME], [secret]);
  const plain = await openOpenedPair([rule], [NAME], []);
  const hostCa = await hostAuthority.certificate();
  const run = async (pair: typeof opened, ca: string): Promise<number[]> => {
    const socket = await pair.secure(NAME, upstream.port, { ca });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => socket;
    const samples: number[] = [];
    for (let index = 0; index < REQUESTS; index++) {
      const startedMs = performance.now();
      const headers = { host: NAME, authorization: `Bearer ${secret.placeholder}` };
      const request = http.request({ agent, path: "/", headers });
      request.end();
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      for await (const _ of response);
      samples.push(performance.now() - startedMs);
    }
    agent.destroy();
    return samples;
  };
  const samples: number[] = [];
  const floorSamples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    samples.push(...(await run(opened, opened.ca)));
    floorSamples.push(...(await run(plain, hostCa)));
  }
  for (const close of [opened.close, plain.close, upstream.close]) close();
  const [value, floor] = [round(median(samples), 2), round(median(floorSamples), 2)];
  yield {
    what: "a request whose TLS is opened, on the host",
    unit: "ms",
    value,
    floor,
    floorIs: "the same request when it is not",
    bar: `at most ${MAX_ADDED_MS} ms more than the floor (is ${round(value - floor, 2)} ms)`,
    limit: round(floor + MAX_ADDED_MS, 2),
    holds: value <= floor + MAX_ADDED_MS,
    samples: samples.map((ms) => round(ms, 2)),
    floorSamples: floorSamples.map((ms) => round(ms, 2)),
  };
}
