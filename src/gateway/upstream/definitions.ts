import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { RPC_CODE, RpcError } from "../rpc/messages.ts";
import type { UpstreamSession } from "./session.ts";

/** More of one kind no client can use; a server that offers more is stopped rather than cut. */
export const MAX_DEFINITIONS = 2_000;
/** Of all that a server offers, as JSON. */
export const MAX_DEFINITIONS_BYTES = 4 * 1024 * 1024;
const MAX_DEPTH = 64;
const MAX_PAGES = 1_000;
const LIST_TIMEOUT_MS = 60_000;

const shortText = z.string().min(1).max(1_024);
const longText = z.string().max(64 * 1024);
const object = z.record(z.string(), z.unknown());

const toolSchema = z.looseObject({
  name: z.string().min(1).max(128),
  title: longText.optional(),
  description: longText.optional(),
  inputSchema: z.looseObject({ type: z.literal("object") }),
  outputSchema: object.optional(),
  annotations: object.optional(),
});
const promptSchema = z.looseObject({ name: shortText, title: longText.optional(), description: longText.optional() });
const resourceSchema = z.looseObject({ uri: z.string().min(1).max(8_192), name: longText });
const templateSchema = z.looseObject({ uriTemplate: z.string().min(1).max(8_192), name: longText });

/** What a server offers, as it says itself. */
export const definitionsSchema = z.object({
  tools: z.array(toolSchema),
  prompts: z.array(promptSchema),
  resources: z.array(resourceSchema),
  resourceTemplates: z.array(templateSchema),
});
export type Definitions = z.infer<typeof definitionsSchema>;
export type ToolDefinition = Definitions["tools"][number];

const LISTS = {
  tools: { method: "tools/list", capability: "tools" },
  prompts: { method: "prompts/list", capability: "prompts" },
  resources: { method: "resources/list", capability: "resources" },
  resourceTemplates: { method: "resources/templates/list", capability: "resources" },
} as const;
export type DefinitionKind = keyof typeof LISTS;

/** Everything that a server offers. Throws SERVER_PROTOCOL_ERROR when it is malformed or beyond all bounds. */
export async function listDefinitions(session: UpstreamSession, server: string): Promise<Definitions> {
  const listed = await Promise.all(
    Object.entries(LISTS).map(async ([kind, { capability }]) => [
      kind,
      session.has(capability) ? await listKind(session, kind as DefinitionKind, server) : [],
    ]),
  );
  const value: unknown = Object.fromEntries(listed);
  const parsed = definitionsSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw malformed(server, `what it offers is malformed at '${issue?.path.join(".")}': ${issue?.message}`);
  }
  if (JSON.stringify(value).length > MAX_DEFINITIONS_BYTES)
    throw malformed(server, "what it offers is larger than 4 MiB");
  return parsed.data;
}

async function listKind(session: UpstreamSession, kind: DefinitionKind, server: string): Promise<unknown[]> {
  const { method } = LISTS[kind];
  const found: unknown[] = [];
  let cursor: unknown;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await session
      .request(method, cursor === undefined ? {} : { cursor }, { timeoutMs: LIST_TIMEOUT_MS })
      .catch((error: unknown) => {
        // It has said that it has such things in general. What a server gets from elsewhere, as a database's tables, it has not at its first start, which is
        // without a network; its tools it knows.
        if (error instanceof RpcError && (error.code === RPC_CODE.methodNotFound || kind !== "tools"))
          return { [kind]: [] } as Record<string, unknown>;
        throw error instanceof RpcError ? malformed(server, `${method} failed: ${error.message.slice(0, 500)}`) : error;
      });
    const items = result[kind];
    if (!Array.isArray(items)) throw malformed(server, `its answer to ${method} has no list`);
    found.push(...items);
    if (found.length > MAX_DEFINITIONS) throw malformed(server, `it offers more than ${MAX_DEFINITIONS} ${kind}`);
    if (items.some((item) => isDeeper(item, MAX_DEPTH)))
      throw malformed(server, `one of its ${kind} is nested more than ${MAX_DEPTH} deep`);
    cursor = result.nextCursor;
    if (typeof cursor !== "string" || cursor === "") return found;
  }
  throw malformed(server, `its list of ${kind} has no end`);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

function malformed(server: string, why: string): FirebreakError {
  return new FirebreakError("SERVER_PROTOCOL_ERROR", `the server '${server}' does not speak MCP as it should: ${why}`, {
    details: { server },
  });
}
