/** An MCP server that answers at once, so that what is measured is the way to it. */
export const ECHO_CODE = `
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method } = JSON.parse(line);
  const answer = (result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
  if (method === "initialize") answer({ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "echo", version: "1" } });
  else if (method === "tools/list") answer({ tools: [{ name: "echo", description: "Answers.", inputSchema: { type: "object" } }] });
  else if (method === "tools/call") answer({ content: [{ type: "text", text: "ok" }] });
  else if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }));
});
`;

/** How it is started, by its interpreter's name. */
export const ECHO_ARGV = ["node", "-e", ECHO_CODE];

/** What a VM has that it runs in. */
export const ECHO_VM = { memoryMib: 256, cpus: 1, diskMib: 1024 };

/** It, as the gateway is to run it: in a VM without a network. */
export const echoServer = (name: string, more: { resident?: boolean; idleTimeoutMs?: number } = {}) => ({
  kind: "vm" as const,
  name,
  command: ECHO_ARGV,
  network: { mode: "none" as const },
  ...ECHO_VM,
  idleTimeoutMs: 3_600_000,
  ...more,
});
