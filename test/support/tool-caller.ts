import assert from "node:assert/strict";
import { previewSchema } from "../../src/mcp/controls.ts";
import { TOOLS, ToolRegistry } from "../../src/mcp/registry.ts";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import type { FakeVmClient } from "./fake-vm-client.ts";

/** What a tool answers, as its client sees it. */
export interface Answer {
  isError: boolean;
  text: string;
  data: Record<string, unknown>;
  content: { type: string }[];
}

/** Calls tools of a daemon's; each answer is held against the tool's output schema. `data` is what it is structured as, also a failure. */
export function caller(client: FakeVmClient) {
  const registry = new ToolRegistry(TOOLS);
  return async (name: string, args: unknown, signal = new AbortController().signal): Promise<Answer> => {
    const tool = registry.get(name);
    assert.ok(tool, name);
    const result = await registry.call(tool, args, { connect: async () => client, signal, onProgress: () => {} });
    const [first] = result.content;
    const isImage = result.content.some(({ type }) => type === "image");
    const data = (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>;
    if (!result.isError && data.preview !== undefined) previewSchema.parse(data.preview);
    else if (!result.isError && !isImage) tool.outputSchema.parse(data);
    return {
      isError: result.isError === true,
      text: first?.type === "text" ? first.text : "",
      data,
      content: result.content,
    };
  };
}

/** Previews, then confirms. */
export async function confirmed(
  call: ReturnType<typeof caller>,
  name: string,
  args: Record<string, unknown>,
): Promise<Answer> {
  const { data } = await call(name, { ...args, preview: true });
  const { confirm_token } = data.preview as { confirm_token: string };
  return call(name, { ...args, confirm_token });
}
