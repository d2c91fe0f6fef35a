import type { ServerApply } from "../../../src/contract/server.ts";

type Json = Record<string, unknown>;
interface Message {
  id?: number | string;
  method?: string;
  params?: Json & { _meta?: Json; name?: string; uri?: string; requestId?: number | string; arguments?: Json };
  result?: Json;
}

/**
 * An MCP server without dependencies, which runs in a VM: its text is the program, so that it refers to nothing outside of itself. What it
 * remembers is in its process alone.
 */
function fixtureServer(era: "legacy" | "modern"): void {
  const META = "io.modelcontextprotocol/";
  const isModern = era === "modern";
  const state = { count: 0, cancelled: 0, subscribed: [] as string[], hasGrown: false, level: "info" };
  const running = new Map<number | string, () => void>();
  const listening = new Map<number | string, Json>();
  const asked = new Map<number | string, (result: Json) => void>();
  const send = (message: Json) => void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const text = (words: string) => ({ content: [{ type: "text", text: words }] });
  const form = {
    type: "object",
    properties: { name: { type: "string" } },
    required: ["name"],
  };
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    completions: {},
    logging: {},
  };
  const serverInfo = { name: `fixture-${era}`, version: "1.2.3" };
  const tool = (name: string, properties: Json = {}) => ({
    name,
    description: `does ${name}`,
    inputSchema: { type: "object", properties },
  });
  const tools = () => [
    ...["count", "whoami", "hang", "crash", "ask", "log", "touch", "grow", "told", "sample"].map((name) => tool(name)),
    tool("slow", { steps: { type: "integer" }, ms: { type: "integer" } }),
    tool("big", { bytes: { type: "integer" } }),
    ...(state.hasGrown ? [tool("grown")] : []),
  ];
  /** Whoever listens hears it, in the terms of the era. */
  const tell = (method: string, key: string, params: Json = {}) => {
    if (!isModern) return send({ method, params });
    for (const [id, wanted] of listening) {
      const uris = (wanted.resourceSubscriptions ?? []) as string[];
      if (key === "resourceSubscriptions" ? !uris.includes(params.uri as string) : wanted[key] !== true) continue;
      send({ method, params: { ...params, _meta: { [`${META}subscriptionId`]: id } } });
    }
  };
  const ask = (method: string, params: Json) =>
    new Promise<Json>((resolve) => {
      const id = `ask-${asked.size}-${Date.now()}`;
      asked.set(id, resolve);
      send({ id, method, params });
    });
  const log = (meta: Json, level: string, data: string) => {
    const levels = ["debug", "info", "warning", "error"];
    const least = isModern ? (meta[`${META}logLevel`] as string | undefined) : state.level;
    if (least !== undefined && levels.indexOf(level) >= levels.indexOf(least))
      send({ method: "notifications/message", params: { level, data, logger: "fixture" } });
  };
  const slow = async ({ steps = 3, ms = 20 }: { steps?: number; ms?: number }, meta: Json, id: number | string) => {
    // One more than it tells of: a client of the SDK that reads a progress note together with the result loses the note.
    for (let step = 1; step <= steps + 1; step++) {
      const isCancelled = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), ms);
        running.set(id, () => {
          clearTimeout(timer);
          resolve(true);
        });
      });
      running.delete(id);
      if (isCancelled) {
        state.cancelled++;
        return undefined;
      }
      if (meta.progressToken !== undefined && step <= steps) {
        const params = { progressToken: meta.progressToken, progress: step, total: steps, message: `step ${step}` };
        send({ method: "notifications/progress", params });
      }
    }
    return text("slept");
  };
  const call = async (name: string, params: NonNullable<Message["params"]>, id: number | string) => {
    const args = params.arguments ?? {};
    const meta = params._meta ?? {};
    switch (name) {
      case "count":
        return text(String(++state.count));
      case "whoami":
        return text(JSON.stringify({ pid: process.pid, ...state }));
      case "slow":
        return slow(args, meta, id);
      case "hang":
        return undefined;
      case "crash":
        process.stderr.write("about to crash\n");
        process.exit(3);
        break;
      case "big":
        return text("x".repeat(Number(args.bytes)));
      case "log":
        for (const level of ["debug", "info", "error"]) log(meta, level, `a ${level}`);
        return text("logged");
      case "touch":
        tell("notifications/resources/updated", "resourceSubscriptions", { uri: "test://count" });
        return text("touched");
      case "grow":
        state.hasGrown = true;
        tell("notifications/tools/list_changed", "toolsListChanged");
        return text("grown");
      case "told":
        return text(JSON.stringify(meta));
      case "ask": {
        if (!isModern) {
          const answer = await ask("elicitation/create", { message: "Who?", requestedSchema: form });
          return text(JSON.stringify(answer));
        }
        const answers = params.inputResponses as Json | undefined;
        if (answers?.who !== undefined && params.requestState === "state of it")
          return text(JSON.stringify(answers.who));
        const request = {
          method: "elicitation/create",
          params: { mode: "form", message: "Who?", requestedSchema: form },
        };
        return { resultType: "input_required", inputRequests: { who: request }, requestState: "state of it" };
      }
      case "sample": {
        const messages = [{ role: "user", content: { type: "text", text: "Your name?" } }];
        const wanted = { messages, maxTokens: 10 };
        if (!isModern) return text(JSON.stringify((await ask("sampling/createMessage", wanted)).content));
        const answers = params.inputResponses as Record<string, Json> | undefined;
        if (answers?.said !== undefined) return text(JSON.stringify(answers.said.content));
        const request = { method: "sampling/createMessage", params: wanted };
        return { resultType: "input_required", inputRequests: { said: request }, requestState: "sampling" };
      }
      default:
        return { isError: true, ...text(`there is no tool ${name}`) };
    }
  };
  const answer = async ({ id = 0, method, params = {} }: Message): Promise<Json | undefined> => {
    switch (method) {
      case "initialize":
        return { protocolVersion: params.protocolVersion, capabilities, serverInfo, instructions: "Ask away." };
      case "server/discover":
        return {
          supportedVersions: ["2026-07-28"],
          capabilities,
          instructions: "Ask away.",
          ttlMs: 0,
          cacheScope: "private",
        };
      case "ping":
        return {};
      case "tools/list":
        return { tools: tools() };
      case "tools/call":
        return call(String(params.name), params, id);
      case "resources/list":
        return { resources: [{ uri: "test://count", name: "count", mimeType: "text/plain" }] };
      case "resources/templates/list":
        return { resourceTemplates: [{ uriTemplate: "test://item/{id}", name: "item" }] };
      case "resources/read": {
        const { uri = "" } = params;
        return {
          contents: [{ uri, mimeType: "text/plain", text: uri === "test://count" ? String(state.count) : uri }],
        };
      }
      case "resources/subscribe":
        state.subscribed.push(String(params.uri));
        return {};
      case "resources/unsubscribe":
        state.subscribed = state.subscribed.filter((uri) => uri !== params.uri);
        return {};
      case "subscriptions/listen": {
        const notifications = (params.notifications ?? {}) as Json;
        listening.set(id, notifications);
        state.subscribed.push(...((notifications.resourceSubscriptions ?? []) as string[]));
        const _meta = { [`${META}subscriptionId`]: id };
        send({ method: "notifications/subscriptions/acknowledged", params: { notifications, _meta } });
        return undefined;
      }
      case "prompts/list":
        return { prompts: [{ name: "greet", arguments: [{ name: "name", required: true }] }] };
      case "prompts/get":
        return { messages: [{ role: "user", content: { type: "text", text: `Hello, ${params.arguments?.name}` } }] };
      case "completion/complete":
        return { completion: { values: ["Ada", "Alan"], hasMore: false } };
      case "logging/setLevel":
        state.level = String(params.level);
        return {};
      default:
        throw Object.assign(new Error(`no method ${method}`), { code: -32601 });
    }
  };
  const receive = async (message: Message) => {
    const { id, method, params = {} } = message;
    if (method === undefined) {
      asked.get(id as string)?.(message.result ?? {});
      return;
    }
    if (id === undefined) {
      const { requestId = "" } = params;
      if (method !== "notifications/cancelled") return;
      running.get(requestId)?.();
      listening.delete(requestId);
      return;
    }
    if (isModern && params._meta?.[`${META}protocolVersion`] !== "2026-07-28")
      return send({ id, error: { code: -32022, message: "only 2026-07-28", data: { supported: ["2026-07-28"] } } });
    try {
      if (method === (isModern ? "initialize" : "server/discover"))
        throw Object.assign(new Error(`no method ${method}`), { code: -32601 });
      const result = await answer(message);
      if (result === undefined) return;
      const modern = { resultType: "complete", _meta: { [`${META}serverInfo`]: serverInfo } };
      send({ id, result: isModern ? { ...modern, ...result } : result });
    } catch (thrown) {
      const { code = -32603, message: why } = thrown as { code?: number; message: string };
      send({ id, error: { code, message: why } });
    }
  };
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) void receive(JSON.parse(line) as Message);
  });
}

/** The program, as `node -e` takes it. */
export const fixtureProgram = (era: "legacy" | "modern"): string => `(${fixtureServer})(${JSON.stringify(era)})`;

type ServerInput = ServerApply["servers"][number];

/** A server's configuration: a program of Node in the stock image, without a network. */
export function vmServer(
  name: string,
  program: string,
  changes: Partial<Extract<ServerInput, { kind: "vm" }>> = {},
): ServerInput {
  return {
    kind: "vm",
    name,
    command: ["node", "-e", program],
    network: { mode: "none" },
    memoryMib: 256,
    cpus: 1,
    diskMib: 2048,
    idleTimeoutMs: 600_000,
    ...changes,
  };
}
