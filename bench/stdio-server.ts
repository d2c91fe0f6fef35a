import { spawn } from "node:child_process";
import type { DaemonClient } from "../src/client/daemon-client.ts";

/** An MCP server that is spoken to over its standard input and output. */
export interface StdioServer {
  call: () => Promise<void>;
  close: () => void;
}

/** One that is run in a VM, without the gateway. */
export async function openDirect(client: DaemonClient, vm: string, argv: string[]): Promise<StdioServer> {
  const exec = await client.execs.start(vm, { argv, stdin: true });
  async function* read() {
    for await (const output of exec.output()) if (output.type === "stdout") yield output.bytes;
  }
  return begin(
    read(),
    (line) => exec.writeStdin(Buffer.from(line)),
    () => exec.close(),
  );
}

/** One that is run on the host. */
export async function openOnHost([program = "", ...args]: string[]): Promise<StdioServer> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {}); // it ends when it is closed
  return begin(
    child.stdout,
    async (line) => void child.stdin.write(line),
    () => child.kill("SIGKILL"),
  );
}

async function begin(
  output: AsyncIterable<Uint8Array>,
  write: (line: string) => Promise<void>,
  close: () => void,
): Promise<StdioServer> {
  const waiting = new Map<number, PromiseWithResolvers<void>>();
  let rest = "";
  let isOver = false;
  void (async () => {
    for await (const bytes of output) {
      rest += Buffer.from(bytes).toString("utf8");
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const { id } = JSON.parse(rest.slice(0, end)) as { id: number };
        rest = rest.slice(end + 1);
        waiting.get(id)?.resolve();
        waiting.delete(id);
      }
    }
  })()
    .catch(() => {})
    .finally(() => {
      isOver = true;
      for (const { reject } of waiting.values()) reject(new Error("the server has ended"));
    });
  let next = 1;
  const request = async (method: string, params: Record<string, unknown>) => {
    if (isOver) throw new Error("the server has ended");
    const id = next++;
    const answered = Promise.withResolvers<void>();
    waiting.set(id, answered);
    await write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    await answered.promise;
  };
  await request("initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "bench", version: "0" },
  });
  return { call: () => request("tools/call", { name: "echo", arguments: {} }), close };
}
