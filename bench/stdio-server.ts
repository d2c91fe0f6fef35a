import type { DaemonClient } from "../src/client/daemon-client.ts";

/** An MCP server that is run in a VM and spoken to over its standard input and output, without the gateway. */
export async function openDirect(client: DaemonClient, vm: string, argv: string[]) {
  const exec = await client.execs.start(vm, { argv, stdin: true });
  const waiting = new Map<number, () => void>();
  let rest = "";
  void (async () => {
    for await (const { type, bytes } of exec.output()) {
      if (type !== "stdout") continue;
      rest += Buffer.from(bytes).toString("utf8");
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const { id } = JSON.parse(rest.slice(0, end)) as { id: number };
        rest = rest.slice(end + 1);
        waiting.get(id)?.();
        waiting.delete(id);
      }
    }
  })().catch(() => {});
  let next = 1;
  const request = async (method: string, params: Record<string, unknown>) => {
    const id = next++;
    const answered = new Promise<void>((resolve) => waiting.set(id, resolve));
    await exec.writeStdin(Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`));
    await answered;
  };
  await request("initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "bench", version: "0" },
  });
  return { call: () => request("tools/call", { name: "echo", arguments: {} }), close: () => exec.close() };
}
