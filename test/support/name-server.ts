import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Answers questions for addresses (RFC 1035) from a table; what is not in it does not exist. Prints each name that it is asked for. */
const SERVER = `
const dgram = require("node:dgram");
const [address, table] = [process.argv[1], JSON.parse(process.argv[2])];
const server = dgram.createSocket("udp4");
server.on("message", (question, peer) => {
  const labels = [];
  let at = 12;
  for (let size = question[at]; size > 0; size = question[at]) {
    labels.push(question.toString("latin1", at + 1, at + 1 + size));
    at += 1 + size;
  }
  const end = at + 5;
  const isAddress = question.readUInt16BE(at + 1) === 1;
  const name = labels.join(".").toLowerCase();
  const known = table[name];
  const found = isAddress ? known ?? [] : [];
  const head = Buffer.alloc(12);
  question.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8580 | (known === undefined ? 3 : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(found.length, 6);
  const records = found.map((text) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...text.split(".").map(Number)]));
  console.log(name);
  server.send(Buffer.concat([head, question.subarray(12, end), ...records]), peer.port, peer.address);
});
server.bind(53, address, () => console.log("ready"));
`;

export interface NameServer {
  /** The names that it has been asked for. */
  asked: string[];
  close: () => void;
}

/** A name server in a network namespace: `beyond` is what runs a program there. */
export async function openNameServer(
  beyond: readonly string[],
  address: string,
  table: Record<string, string[]>,
): Promise<NameServer> {
  const [program = "", ...args] = [...beyond, process.execPath, "-e", SERVER, address, JSON.stringify(table)];
  const server: ChildProcess = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const asked: string[] = [];
  const { stdout } = server;
  if (stdout === null) throw new Error("its output is a pipe");
  await once(stdout, "data");
  stdout.on("data", (bytes: Buffer) => asked.push(...String(bytes).trim().split("\n")));
  return { asked, close: () => server.kill("SIGKILL") };
}
