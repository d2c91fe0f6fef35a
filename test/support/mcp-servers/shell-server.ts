type Json = Record<string, unknown>;

/** A server with one tool, which runs a command in its VM. It says in $MARK, if there is one, that it has been started. */
function shellServer(): void {
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  const { appendFileSync } = process.getBuiltinModule("node:fs");
  if (process.env.MARK !== undefined) appendFileSync(process.env.MARK, "started\n");
  const run = (command: string): Json => {
    try {
      return { content: [{ type: "text", text: execFileSync("sh", ["-ec", command], { encoding: "utf8" }) }] };
    } catch (error) {
      return { isError: true, content: [{ type: "text", text: String(error) }] };
    }
  };
  const answer = (method: string, params: Json): Json | undefined => {
    const inputSchema = { type: "object", properties: { command: { type: "string" } } };
    const { command } = (params.arguments ?? {}) as { command?: string };
    if (method === "initialize")
      return {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "shell", version: "1" },
      };
    if (method === "tools/list") return { tools: [{ name: "sh", description: "runs a command", inputSchema }] };
    return method === "tools/call" ? run(String(command)) : undefined;
  };
  let rest = "";
  process.stdin.on("data", (chunk) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { id, method, params = {} } = JSON.parse(line) as { id?: number; method: string; params?: Json };
      if (id === undefined) continue;
      const result = answer(method, params);
      const body = result === undefined ? { error: { code: -32601, message: `no method ${method}` } } : { result };
      process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`);
    }
  });
}

/** The program, as `node -e` takes it. */
export const SHELL_PROGRAM = `(${shellServer})()`;
