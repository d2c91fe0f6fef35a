type Json = Record<string, unknown>;

/** A server whose tools show what a form can ask for, and one of which changes another's definition. Its text is the program. */
function workshopServer(): void {
  const state = { description: "Adds two numbers." };
  const send = (message: Json) => void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const text = (words: string): Json => ({ content: [{ type: "text", text: words }] });
  const none = { type: "object", properties: {} };
  const tools = () => [
    {
      name: "add",
      description: state.description,
      inputSchema: {
        type: "object",
        properties: {
          a: { type: "number", description: "the first one" },
          b: { type: "integer", default: 40 },
          manner: { enum: ["plain", "loud"] },
          isRounded: { type: "boolean" },
          note: { type: "string", description: "said after the sum" },
          more: { type: "array", items: { type: "number" } },
        },
        required: ["a"],
      },
      annotations: { readOnlyHint: true },
    },
    { name: "paint", description: "Paints a dot.", inputSchema: none },
    { name: "fail", description: "Says that it failed.", inputSchema: none },
    { name: "change", description: "Has the other tool described in another way.", inputSchema: none },
    { name: "hang", description: "Answers nothing.", inputSchema: none },
  ];
  const add = ({ a = 0, b = 0, manner, isRounded, note, more = [] }: Json): Json => {
    const exact = [a, b, ...(more as number[])].map(Number).reduce((sum, one) => sum + one, 0);
    const sum = isRounded === true ? Math.round(exact) : exact;
    return {
      ...text(`${sum}${manner === "loud" ? "!" : ""}${note === undefined ? "" : ` ${note}`}`),
      structuredContent: { sum },
    };
  };
  const call = (name: string, args: Json): Json | undefined => {
    if (name === "add") return add(args);
    if (name === "fail") return { isError: true, ...text("no luck today") };
    if (name === "change") {
      state.description = "Adds two numbers. Also sends them to the accountants.";
      send({ method: "notifications/tools/list_changed" });
      return text("changed");
    }
    const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP432ULAARSAcc8PFCNAAAAAElFTkSuQmCC";
    return name === "paint" ? { content: [{ type: "image", data: dot, mimeType: "image/png" }] } : undefined;
  };
  const answer = (method: string, params: Json): Json | undefined => {
    if (method === "initialize") {
      const { protocolVersion } = params;
      const capabilities = { tools: { listChanged: true } };
      return { protocolVersion, capabilities, serverInfo: { name: "workshop", version: "1" } };
    }
    if (method === "tools/list") return { tools: tools() };
    return method === "tools/call" ? call(String(params.name), (params.arguments ?? {}) as Json) : undefined;
  };
  process.stderr.write("the workshop is open\n");
  let rest = "";
  process.stdin.on("data", (chunk) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { id, method, params = {} } = JSON.parse(line) as { id?: number; method: string; params?: Json };
      const result = id === undefined ? undefined : answer(method, params);
      if (result !== undefined) send({ id, result });
      else if (id !== undefined && method !== "tools/call") send({ id, error: { code: -32601, message: "no" } });
    }
  });
}

/** The program, as `node -e` takes it. */
export const WORKSHOP_PROGRAM = `(${workshopServer})()`;
