type Json = Record<string, unknown>;

/** A server all of whose words are markup, escape sequences or very long. `words` is what it is given to say. */
function markupServer(words: string[]): void {
  const hidden = "\u202egnp.exe \u200b\u{e0041} \u001b[31mred\u001b]0;title\u0007";
  const long = "A".repeat(1024 * 1024);
  // More would be refused: of what is offered there is a limit, of what is answered there is none so low.
  const longest = long.slice(0, 60_000);
  const properties = Object.fromEntries(
    [...words, "__proto__", "constructor", hidden].map((word) => [word, { type: "string", description: word }]),
  );
  const tools = [
    ...words.map((word, index) => ({
      name: `word-${index}`,
      description: `${word} ${hidden}`,
      inputSchema: { type: "object", properties, title: word },
      annotations: { title: word, [word]: true },
    })),
    {
      name: "long",
      description: longest,
      inputSchema: { type: "object", properties: { text: { enum: [longest, 1] } } },
    },
    { name: "say", description: "says all of it", inputSchema: { type: "object", properties } },
  ];
  const call = (): Json => ({
    content: [
      ...words.map((text) => ({ type: "text", text: `${text} ${hidden}` })),
      { type: "text", text: long },
      { type: "image", mimeType: "image/svg+xml", data: Buffer.from(words.join("")).toString("base64") },
      { type: "image", mimeType: "image/png", data: Buffer.from("no image").toString("base64") },
      {
        type: "resource",
        resource: { uri: "javascript:window.injected=1", mimeType: "text/html", text: words.join("") },
      },
    ],
    structuredContent: { [words[0] ?? ""]: words },
  });
  process.stderr.write(`${words.join("\n")}\n${hidden}\n${long}\nafter all that\n`);
  let rest = "";
  process.stdin.on("data", (chunk) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { id, method, params = {} } = JSON.parse(line) as { id?: number; method: string; params?: Json };
      if (id === undefined) continue;
      const { protocolVersion } = params;
      const serverInfo = { name: words[0], version: words[1] };
      const answers: Record<string, Json> = {
        initialize: { protocolVersion, capabilities: { tools: {} }, serverInfo },
        "tools/list": { tools },
        "tools/call": call(),
      };
      const result = answers[method];
      const body = result === undefined ? { error: { code: -32601, message: words.join("") } } : { result };
      process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`);
    }
  });
}

/** The program, as `node -e` takes it. */
export const markupProgram = (words: readonly string[]): string => `(${markupServer})(${JSON.stringify(words)})`;
