import type { ClientHttp2Stream } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import dnsPacket from "dns-packet";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { ProbeGuest } from "../../src/network/probe-client.ts";
import type { openEgressPair } from "./egress-pair.ts";

/** What a guest's agent does for a probe, over a VM's egress without a VM: names have addresses of its own, other addresses lead nowhere. */
export function openProbeGuest(pair: Awaited<ReturnType<typeof openEgressPair>>): ProbeGuest {
  const names: string[] = [];
  const answer = async (query: Buffer): Promise<Buffer> => {
    const { questions: [question] = [], id = 0 } = dnsPacket.streamDecode(query);
    if (question === undefined) throw new Error("no question");
    const { status } = await pair.request({ ":method": "GET", ":path": `/v1/names/${question.name}` });
    if (status === 200 && !names.includes(question.name)) names.push(question.name);
    const data = `198.18.1.${names.indexOf(question.name)}`;
    const answers = status === 200 ? [{ type: "A" as const, name: question.name, data }] : [];
    return dnsPacket.streamEncode({ type: "response", id, questions: [question], answers });
  };
  return {
    connect: async (target) => {
      const { host, port } = "port" in target ? { host: "", ...target } : { host: "", port: 0 };
      if (host === "198.18.0.1") {
        const [near, far] = duplexPair();
        far.once("data", (query: Buffer) => void answer(query).then((bytes) => far.end(bytes)));
        return near as Duplex as ClientHttp2Stream;
      }
      const name = host.startsWith("198.18.1.") ? names[Number(host.split(".")[3])] : undefined;
      if (name === undefined) throw new FirebreakError("CONNECTION_REFUSED", "no route to host");
      const { status, stream } = await pair.connect(`${name}:${port}`);
      if (status !== 200) stream.destroy();
      return stream;
    },
  };
}
