type Json = Record<string, unknown>;

/** A server that does what none should, one thing for each of its tools. Its text is the program, so that it refers to nothing outside of itself. */
function hostileServer(): void {
  const state = { answers: [] as unknown[], lists: 0, isFickle: false };
  const write = (text: string) =>
    new Promise<void>((resolve) => {
      process.stdout.write(text, () => resolve());
    });
  const send = (message: Json) => write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const reply = (id: unknown, text = "done") => send({ id, result: { content: [{ type: "text", text }] } });
  const form = { type: "object", properties: {} };
  const ask = (id: string) =>
    send({ id, method: "elicitation/create", params: { message: "Who?", requestedSchema: form } });
  const many = async (count: number, line: (index: number) => string) => {
    for (let from = 0; from < count; from += 1_000) {
      let text = "";
      for (let index = from; index < Math.min(from + 1_000, count); index++) text += `${line(index)}\n`;
      await write(text);
    }
  };
  const notification = (method: string, params: Json = {}) => JSON.stringify({ jsonrpc: "2.0", method, params });
  const acts: Record<string, (id: unknown, meta: Json) => unknown> = {
    ok: (id) => reply(id),
    noise: async (id) => {
      await write("Server listening\n\n{}\nnull\n[1]\n\u0000\u0001\n");
      const text = JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "whole" }] } });
      await write(text.slice(0, 20));
      setTimeout(() => void write(`${text.slice(20)}\n`), 100);
    },
    longLine: async (id) => {
      for (let count = 0; count < 100; count++) await write("x".repeat(1024 * 1024));
      await write("\n");
      await reply(id);
    },
    hang: () => {},
    twice: async (id) => {
      await reply(id, "first");
      await reply(id, "second");
      await send({ id: 1, result: {} });
      await send({ id: null, error: { code: 1, message: "whose?" } });
    },
    deep: (id) => write(`{"jsonrpc":"2.0","id":${id},"result":{"content":${"[".repeat(1e6)}${"]".repeat(1e6)}}}\n`),
    huge: (id) => reply(id, "x".repeat(50 * 1024 * 1024)),
    wrong: (id) => send({ id, result: { content: "text" } }),
    crash: () => process.kill(process.pid, "SIGSEGV"),
    progress: async (id, { progressToken }) => {
      await many(2e4, (progress) => notification("notifications/progress", { progressToken, progress }));
      await reply(id);
    },
    log: async (id) => {
      await many(2e4, (data) => notification("notifications/message", { level: "error", data }));
      await reply(id);
    },
    stderr: async (id) => {
      const lines = "one line of many\n".repeat(10_000);
      for (let count = 0; count < 100; count++)
        await new Promise<void>((resolve) => {
          process.stderr.write(lines, () => resolve());
        });
      await reply(id);
    },
    fickle: async (id) => {
      state.isFickle = true;
      await many(1e4, () => notification("notifications/tools/list_changed"));
      await reply(id);
    },
    lists: (id) => reply(id, String(state.lists)),
    ask: (id) => {
      state.answers = [];
      void ask(`during-${id}`);
      const timer = setInterval(() => {
        if (state.answers.length === 0) return;
        clearInterval(timer);
        void reply(id, JSON.stringify(state.answers));
      }, 10);
    },
    askLater: async (id) => {
      state.answers = [];
      await reply(id);
      setTimeout(
        () =>
          void many(200, (index) =>
            JSON.stringify({ jsonrpc: "2.0", id: `later-${index}`, method: "sampling/createMessage", params: {} }),
          ),
        500,
      );
    },
    answers: (id) => reply(id, JSON.stringify(state.answers)),
  };
  const tool = (name: string) => ({ name, description: name, inputSchema: { type: "object" } });
  const cyclic = {
    type: "object",
    properties: { self: { $ref: "#" }, other: { $ref: "#/$defs/a" } },
    $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } },
  };
  const receive = (line: string) => {
    const {
      id,
      method,
      params = {},
      result,
      error,
    } = JSON.parse(line) as {
      id?: unknown;
      method?: string;
      params?: { name?: string; _meta?: Json; protocolVersion?: string };
      result?: unknown;
      error?: unknown;
    };
    if (method === undefined) {
      state.answers.push(result ?? error);
      if (state.answers.length === 200) process.stderr.write("200 have been answered\n");
    }
    if (method === "initialize") {
      const capabilities = { tools: { listChanged: true }, logging: {} };
      const serverInfo = { name: "hostile", version: "1" };
      void send({ id, result: { protocolVersion: params.protocolVersion, capabilities, serverInfo } });
    } else if (method === "tools/list") {
      state.lists++;
      const changing = state.isFickle ? [tool(`changing-${state.lists}`)] : [];
      const tools = [...Object.keys(acts).map(tool), { ...tool("cyclic"), inputSchema: cyclic }, ...changing];
      void send({ id, result: { tools } });
    } else if (method === "tools/call") void acts[params.name ?? ""]?.(id, params._meta ?? {});
    else if (id !== undefined && method !== undefined)
      void send({ id, error: { code: -32601, message: "no such method" } });
  };
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) receive(line);
  });
}

export const HOSTILE_PROGRAM = `(${hostileServer})()`;

/** Ends at once, and leaves a process behind that holds its output. */
export const FORKING_PROGRAM = `
require("node:child_process").spawn("sleep", ["1000"], { stdio: "inherit", detached: true }).unref();
process.exit(0);`;

/** Says something untrue of itself when it is asked: a revision that there is not, or more tools than anybody takes. */
function lyingServer(about: "version" | "tools"): void {
  const version = (wanted: unknown) => (about === "version" ? "2099-01-01" : wanted);
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { id, method, params } = JSON.parse(line) as { id?: number; method: string; params?: Json };
      const inputSchema = { type: "object" };
      const answer = (body: Json) => void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`);
      if (id === undefined) continue;
      if (method === "initialize") {
        const serverInfo = { name: "lying", version: "1" };
        answer({
          result: { protocolVersion: version(params?.protocolVersion), capabilities: { tools: {} }, serverInfo },
        });
      } else if (method === "tools/list")
        answer({
          result: { tools: Array.from({ length: 100_000 }, (_, index) => ({ name: `tool${index}`, inputSchema })) },
        });
      else answer({ error: { code: -32601, message: "no such method" } });
    }
  });
}

export const lyingProgram = (about: "version" | "tools"): string => `(${lyingServer})(${JSON.stringify(about)})`;
