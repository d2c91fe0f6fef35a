import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Decoy } from "./decoys.ts";
import { type Attempt, connectFrom, hear, openFrom, type ProbeGuest } from "./probe-client.ts";
import type { Trap } from "./trap.ts";

const METADATA = "http://169.254.169.254/latest/meta-data/";
const HELLO = "a probe";
const HANDSHAKE_DEADLINE_MS = 8_000;

/** An attempt to get out by way of a decoy. */
export interface DecoyProbe {
  probe: string;
  target: string;
  run: () => Promise<Attempt>;
}

/** Decoys, and what is tried with them: to get from an allowed name to where nobody may get. */
export function planDecoys(client: ProbeGuest, trap: Trap): { decoys: Decoy[]; probes: DecoyProbe[] } {
  // Nobody has such a name (RFC 2606), or knows this one.
  const random = randomBytes(12).toString("hex");
  const nameOf = (what: string) => `${random}.${what}.firebreak.invalid`;
  const inward: Decoy = { name: nameOf("inward"), port: trap.port, answers: [{ address: "127.0.0.1" }] };
  const redirects = [METADATA, `http://${inward.name}:${trap.port}/`];
  const redirecting: Decoy = {
    name: nameOf("redirect"),
    port: 80,
    answers: redirects.map((location) => ({ page: redirectTo(location) })),
  };
  const rebinding: Decoy = {
    name: nameOf("rebinding"),
    port: trap.port,
    answers: [{ page: HELLO }, { address: "127.0.0.1" }, { address: "::ffff:127.0.0.1" }],
  };
  const opened: Decoy = { name: nameOf("opened"), port: 443, answers: [{ address: "127.0.0.1" }], isOpened: true };
  const probes: DecoyProbe[] = [
    ...redirects.map((location) => ({
      probe: "a redirect to a private address",
      target: location,
      run: () => follow(client, redirecting, trap),
    })),
    {
      probe: "a name that changes its mind",
      target: `${rebinding.name} port ${rebinding.port}`,
      run: () => rebind(client, rebinding, trap),
    },
    {
      probe: "another name in a request's Host",
      target: `other.invalid by way of ${opened.name}`,
      run: () => askAs(client, opened, "other.invalid"),
    },
    {
      probe: "another name in TLS (SNI)",
      target: `other.invalid by way of ${opened.name}`,
      run: () => secureAs(client, opened, "other.invalid"),
    },
  ];
  return { decoys: [inward, redirecting, rebinding, opened], probes };
}

function redirectTo(location: string): string {
  return `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
}

/** Goes where an answer sends it, as HTTP clients do. */
async function follow(client: ProbeGuest, { name, port }: Decoy, trap: Trap): Promise<Attempt> {
  const answer = await say(client, name, port, `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  const location = /^location: (\S+)/im.exec(answer.heard)?.[1];
  if (location === undefined) return untried(answer);
  const { hostname, port: given } = new URL(location);
  if (/^[\d.]+$/.test(hostname)) return connectFrom(client, hostname, Number(given || 80));
  return sprung([await say(client, hostname, Number(given))], trap);
}

/** The first connection shows that the name is one that may be used. */
async function rebind(client: ProbeGuest, { name, port, answers }: Decoy, trap: Trap): Promise<Attempt> {
  const first = await say(client, name, port);
  if (first.heard !== HELLO) return untried(first);
  const later: Said[] = [];
  for (const _ of answers.slice(1)) later.push(await say(client, name, port));
  return sprung(later, trap);
}

/** Whoever has heard the word of a trap has been there. */
function sprung(said: readonly Said[], { word }: Trap): Attempt {
  const isOut = said.some(({ heard }) => heard.includes(word));
  return { isOut, detail: isOut ? "a service of this host answered" : (said.at(-1)?.failure ?? "reset at once") };
}

async function askAs(client: ProbeGuest, { name, port }: Decoy, host: string): Promise<Attempt> {
  const answer = await say(client, name, port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const [status] = answer.heard.split("\r\n", 1);
  if (!status) return untried(answer);
  return { isOut: !status.startsWith("HTTP/1.1 421 "), detail: status };
}

async function secureAs(client: ProbeGuest, { name, port }: Decoy, host: string): Promise<Attempt> {
  const own = await handshake(client, name, port, name);
  if (own !== undefined) return { isOut: false, detail: own, isUntried: true };
  const other = await handshake(client, name, port, host);
  return { isOut: other === undefined, detail: other ?? "a certificate was shown" };
}

/** Undefined when it is done, or what kept it from that. Whose certificate it is does not matter here. */
async function handshake(
  client: ProbeGuest,
  name: string,
  port: number,
  servername: string,
): Promise<string | undefined> {
  try {
    const stream = await openFrom(client, name, port);
    const socket = tls.connect({ socket: stream as Duplex as never, servername, rejectUnauthorized: false });
    const timer = setTimeout(() => socket.destroy(new Error("no answer")), HANDSHAKE_DEADLINE_MS);
    const closed = new Promise<never>((_, reject) => socket.once("close", () => reject(new Error("reset at once"))));
    try {
      await Promise.race([once(socket, "secureConnect"), closed]);
    } finally {
      closed.catch(() => {});
      clearTimeout(timer);
      socket.on("error", () => {}).destroy();
      stream.destroy();
    }
    return undefined;
  } catch (error) {
    return toFirebreakError(error).message;
  }
}

interface Said {
  heard: string;
  failure?: string;
}

async function say(client: ProbeGuest, name: string, port: number, words?: string): Promise<Said> {
  try {
    const stream = await openFrom(client, name, port);
    if (words !== undefined) stream.write(words);
    return { heard: await hear(stream) };
  } catch (error) {
    return { heard: "", failure: toFirebreakError(error).message };
  }
}

function untried({ failure }: Said): Attempt {
  return { isOut: false, detail: failure ?? "the probe's own server was not reached", isUntried: true };
}
