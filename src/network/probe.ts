import { randomBytes } from "node:crypto";
import type { ClientHttp2Stream } from "node:http2";
import dnsPacket from "dns-packet";
import type { EgressPolicy } from "../contract/policy.ts";
import type { ProbeFinding } from "../contract/probe.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { parseName } from "./names.ts";
import { WEB_PORTS } from "./ports.ts";
import { type NamedSets, parseRule } from "./rule-text.ts";
import type { CompiledPolicy } from "./rules.ts";
import { decideConnection, decideName } from "./rules.ts";

const RESOLVER = "198.18.0.1";
/** How long a connection has to stay to count as one: what is refused behind a name is reset once it is there. */
const STAY_MS = 1_000;
const ANSWER_DEADLINE_MS = 8_000;

interface Probe {
  probe: string;
  target: string;
  isExpectedOut: boolean;
  run: () => Promise<{ isOut: boolean; detail: string }>;
}

/** Tries to get out of a VM, from within it, in the ways that are tried, and compares with what its policy says. Needs nothing of its image. */
export async function probeEgress(
  client: GuestClient,
  policy: EgressPolicy,
  compiled: CompiledPolicy,
  sets: NamedSets,
  onProgress: (message: string) => void,
): Promise<ProbeFinding[]> {
  const findings: ProbeFinding[] = [];
  for (const { probe, target, isExpectedOut, run } of listProbes(client, policy, compiled, sets)) {
    onProgress(`${probe}: ${target}`);
    const startedMs = performance.now();
    const { isOut, detail } = await run();
    const durationMs = Math.round(performance.now() - startedMs);
    findings.push({ probe, target, isOut, isExpected: isOut === isExpectedOut, detail, durationMs });
  }
  return findings;
}

function listProbes(client: GuestClient, policy: EgressPolicy, compiled: CompiledPolicy, sets: NamedSets): Probe[] {
  const random = randomBytes(12).toString("hex");
  const address = (probe: string, host: string, port: number): Probe => ({
    probe,
    target: `${host} port ${port}`,
    isExpectedOut: false,
    run: () => connectFrom(client, host, port),
  });
  const name = (probe: string, text: string, type: "A" | "TXT" = "A"): Probe => ({
    probe,
    target: `${text} (${type})`,
    isExpectedOut: type === "A" && "name" in parseName(text) && decideName(compiled, text).isAllowed,
    run: () => ask(client, text, type),
  });
  const sample = sampleOf(policy, sets);
  return [
    ...(sample === undefined ? [] : probeAllowed(client, compiled, sample)),
    name("a name that nobody has", `${random}.firebreak.invalid`),
    name("data in a name", `${random.repeat(2)}.${random}.tunnel.invalid`, "TXT"),
    name("an address as a name", "127.0.0.1"),
    name("an address as one number", "2130706433"),
    {
      probe: "this host by name",
      target: "localhost port 22",
      isExpectedOut: decideConnection(compiled, "localhost", 22).isPrivateAllowed,
      run: () => reach(client, "localhost", 22),
    },
    address("an address without a name", "1.1.1.1", 443),
    address("an address of IPv6", "2606:4700:4700::1111", 443),
    address("another name server", "8.8.8.8", 53),
    address("cloud metadata", "169.254.169.254", 80),
    address("a private network", "10.0.0.1", 80),
    address("a private network", "192.168.1.1", 443),
    address("an address that stands for no name", "198.19.255.254", 443),
  ];
}

/** The first rule that names one host. */
function sampleOf(policy: EgressPolicy, sets: NamedSets): { name: string; port: number } | undefined {
  for (const rule of policy.allow ?? []) {
    const entries = parseRule(rule, sets, WEB_PORTS);
    if ("why" in entries) continue;
    const entry = entries.find(({ isWildcard }) => !isWildcard);
    if (entry !== undefined) return { name: entry.name, port: entry.ports.at(-1)?.[0] ?? 443 };
  }
  return undefined;
}

function probeAllowed(
  client: GuestClient,
  compiled: CompiledPolicy,
  { name, port }: { name: string; port: number },
): Probe[] {
  const forbidden = [65_000, 25, 6_000].find((candidate) => !decideConnection(compiled, name, candidate).isAllowed);
  return [
    {
      probe: "what the policy allows",
      target: `${name} port ${port}`,
      isExpectedOut: true,
      run: () => reach(client, name, port),
    },
    ...(forbidden === undefined
      ? []
      : [
          {
            probe: "another port of it",
            target: `${name} port ${forbidden}`,
            isExpectedOut: false,
            run: () => reach(client, name, forbidden),
          },
        ]),
  ];
}

/** A name's port, as a program in the guest gets there. */
async function reach(client: GuestClient, name: string, port: number): Promise<{ isOut: boolean; detail: string }> {
  const found = await ask(client, name, "A");
  return found.address === undefined ? found : connectFrom(client, found.address, port);
}

/** A connection from within the guest. */
export async function connectFrom(
  client: GuestClient,
  host: string,
  port: number,
): Promise<{ isOut: boolean; detail: string }> {
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

/** A question to the guest's own resolver, over TCP. */
async function ask(
  client: GuestClient,
  name: string,
  type: "A" | "TXT",
): Promise<{ isOut: boolean; detail: string; address?: string }> {
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
