import { ApiError, fetchApi, readLines, request } from "../../../api/client.ts";
import { SseParser } from "../../../api/sse.ts";

/** A tool as its server defines it. All of it is the server's word. */
export interface ToolDefinition {
  name: string;
  title?: string;
  description?: string;
  inputSchema?: unknown;
  annotations?: Record<string, unknown>;
}
export interface ContentBlock {
  type: string;
  text?: string;
  data?: string;
  mimeType?: string;
  [member: string]: unknown;
}
export interface ToolResult {
  content?: ContentBlock[];
  structuredContent?: unknown;
  isError?: boolean;
}

interface RpcMessage {
  id?: unknown;
  method?: string;
  params?: { message?: string; progress?: number; total?: number };
  result?: unknown;
  error?: { code: number; message: string };
}
export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (text: string) => void;
}

const PROTOCOL_VERSION = "2025-06-18";
/** A server that goes on telling of further pages is not followed for ever. */
const MAX_PAGES = 50;

/** A session with a server at the endpoint that MCP clients use, too: what is called here goes through the same limits, and into the same audit log. */
export class McpConnection {
  readonly #path: string;
  #headers: Record<string, string> = {};
  #nextId = 1;

  private constructor(server: string) {
    this.#path = `/servers/${encodeURIComponent(server)}/mcp`;
  }

  /** Throws ApiError. */
  static async open(server: string): Promise<McpConnection> {
    const connection = new McpConnection(server);
    await connection.#request("initialize", {
      protocolVersion: PROTOCOL_VERSION,
      capabilities: {},
      clientInfo: { name: "firebreak-dashboard", version: "1" },
    });
    connection.#headers = { ...connection.#headers, "mcp-protocol-version": PROTOCOL_VERSION };
    await connection.#post({ jsonrpc: "2.0", method: "notifications/initialized" });
    return connection;
  }

  async listTools(): Promise<ToolDefinition[]> {
    const tools: ToolDefinition[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const answer = await this.#request<{ tools: ToolDefinition[]; nextCursor?: string }>("tools/list", params);
      tools.push(...answer.tools);
      cursor = answer.nextCursor;
      if (cursor === undefined) break;
    }
    return tools;
  }

  /** Throws ApiError for what is no answer of the tool's. */
  callTool(name: string, args: unknown, options: CallOptions): Promise<ToolResult> {
    return this.#request("tools/call", { name, arguments: args }, options);
  }

  /** Ends the session, and with it the VM that it may have had to itself. */
  async close(): Promise<void> {
    if (this.#headers["mcp-session-id"] === undefined) return;
    await request("DELETE", this.#path, { headers: this.#headers }).catch(() => {});
  }

  async #request<T>(method: string, params: Record<string, unknown>, options: CallOptions = {}): Promise<T> {
    const id = this.#nextId++;
    const meta = options.onProgress === undefined ? {} : { _meta: { progressToken: id } };
    const response = await this.#post({ jsonrpc: "2.0", id, method, params: { ...params, ...meta } }, options.signal);
    const session = response.headers.get("mcp-session-id");
    if (session !== null) this.#headers = { ...this.#headers, "mcp-session-id": session };
    for await (const message of readMessages(response)) {
      if (message.method === "notifications/progress") options.onProgress?.(describeProgress(message));
      if (message.id !== id) continue;
      if (message.error !== undefined)
        throw new ApiError(502, { code: `MCP ${message.error.code}`, message: message.error.message });
      return message.result as T;
    }
    throw new ApiError(0, { code: "NETWORK", message: "the answer broke off" });
  }

  #post(body: unknown, signal?: AbortSignal): Promise<Response> {
    return fetchApi("POST", this.#path, {
      body,
      headers: this.#headers,
      accept: "application/json, text/event-stream",
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

/** The messages of an answer, which is one in JSON, or any number as events. */
async function* readMessages(response: Response): AsyncGenerator<RpcMessage> {
  if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
    const text = await response.text();
    if (text !== "") yield JSON.parse(text) as RpcMessage;
    return;
  }
  const parser = new SseParser();
  for await (const line of readLines(response, { withEmpty: true }))
    for (const { data } of parser.push(`${line}\n`)) if (data !== "") yield JSON.parse(data) as RpcMessage;
}

function describeProgress({ params }: RpcMessage): string {
  const { message, progress, total } = params ?? {};
  const share = progress === undefined ? "" : `${progress}${total === undefined ? "" : ` of ${total}`}`;
  return [share, message].filter(Boolean).join(": ");
}
