import type { ClientHttp2Stream } from "node:http2";
import dnsPacket from "dns-packet";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";

const RESOLVER = "198.18.0.1";
/** How long a connection has to stay to count as one: what is refused behind a name is reset once it is there. */
const STAY_MS = 1_000;
const ANSWER_DEADLINE_MS = 8_000;
/** Of an answer no more is read, bytes. */
const MAX_HEARD_BYTES = 4 * 1024;

/** What became of one attempt to get out. */
export interface Attempt {
  isOut: boolean;
  detail: string;
  /** What the attempt needs was not there: it shows nothing. */
  isUntried?: boolean;
}

/** The part of a guest's client that probes need. */
export type ProbeGuest = Pick<GuestClient, "connect">;

/** A connection from within the guest. */
export async function connectFrom(client: ProbeGuest, host: string, port: number): Promise<Attempt> {
  try {
    const stream = await client.connect({ host, port }, { deadlineMs: ANSWER_DEADLINE_MS });
    stream.on("error", () => {}).resume();
    const stayed = await Promise.race([
      new Promise<false>((resolve) => stream.once("close", () => resolve(false))),
      new Promise<true>((resolve) => setTimeout(() => resolve(true), STAY_MS)),
    ]);
    stream.destroy();
    return { isOut: stayed, detail: stayed ? "connected" : "reset at once" };
  } catch (error) {
    return { isOut: false, detail: toFirebreakError(error).message };
  }
}

/** A connection from within the guest to a name's port, by way of the guest's own resolver. Throws what keeps it from that. */
export async function openFrom(client: ProbeGuest, name: string, port: number): Promise<ClientHttp2Stream> {
  const { address, detail } = await ask(client, name, "A");
  if (address === undefined) throw new FirebreakError("NAME_NOT_RESOLVED", detail);
  const stream = await client.connect({ host: address, port }, { deadlineMs: ANSWER_DEADLINE_MS });
  return stream.on("error", () => {});
}

/** What comes back over a stream, to its end or for a while. */
export async function hear(stream: ClientHttp2Stream): Promise<string> {
  const timer = setTimeout(() => stream.destroy(), ANSWER_DEADLINE_MS);
  let heard = "";
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      heard += chunk.toString("latin1");
      if (heard.length > MAX_HEARD_BYTES) break;
    }
  } catch {
    // A reset ends it, too.
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
  return heard;
}

/** A name's port, as a program in the guest gets there. */
export async function reach(client: ProbeGuest, name: string, port: number): Promise<Attempt> {
  const found = await ask(client, name, "A");
  return found.address === undefined ? found : connectFrom(client, found.address, port);
}

/** A question to the guest's own resolver, over TCP. */
export async function ask(
  client: ProbeGuest,
  name: string,
  type: "A" | "TXT",
): Promise<Attempt & { address?: string }> {
  try {
    const stream = await client.connect({ host: RESOLVER, port: 53 }, { deadlineMs: ANSWER_DEADLINE_MS });
    stream.on("error", () => {});
    stream.write(
      dnsPacket.streamEncode({ type: "query", id: 1, flags: dnsPacket.RECURSION_DESIRED, questions: [{ type, name }] }),
    );
    const bytes = await readMessage(stream);
    stream.destroy();
    // The types of the library leave the code out.
    const answer = dnsPacket.streamDecode(bytes) as dnsPacket.Packet & { rcode?: string };
    const found = answer.answers?.find((record) => record.type === "A");
    const address = found?.type === "A" ? found.data : undefined;
    if (address === undefined) return { isOut: false, detail: answer.rcode ?? "no answer" };
    return { isOut: true, detail: `answered with ${address}`, address };
  } catch (error) {
    return { isOut: false, detail: toFirebreakError(error).message };
  }
}

/** A DNS message behind its length; of what a guest sends, no more than that. */
async function readMessage(stream: ClientHttp2Stream): Promise<Buffer> {
  const timer = setTimeout(() => stream.destroy(), ANSWER_DEADLINE_MS);
  try {
    let bytes = Buffer.alloc(0);
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= 2 && bytes.length >= bytes.readUInt16BE(0) + 2) return bytes;
    }
    throw new FirebreakError("CHANNEL_LOST", "the guest's resolver does not answer");
  } finally {
    clearTimeout(timer);
  }
}
