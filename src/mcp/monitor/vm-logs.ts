import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

const DEFAULT_LINES = 100;
/** Of the console's end; a line of a guest may be as long as it likes. */
const MAX_CHARS = 256 * 1024;

export const vmLogs = defineTool({
  name: "vm_logs",
  title: "Read a VM's console",
  description:
    "Reads the end of a VM's console: what its kernel and guest agent have said, also why it did not boot or has crashed.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument,
    tail_lines: z.int().min(1).max(10_000).default(DEFAULT_LINES).describe("How many lines of its end."),
  }),
  outputSchema: z.strictObject({
    vm: z.string(),
    lines: z.array(z.string()),
    cut: z.boolean().describe("There is more before."),
  }),
  handler: async (args, { client, signal }) => {
    const { name } = await client.vms.get(args.vm, { signal });
    let text = "";
    for await (const chunk of await client.vms.logs(name, false, { signal })) text += String(chunk);
    const kept = text.slice(-MAX_CHARS);
    const all = kept.replace(/\r/g, "").replace(/\n$/, "").split("\n");
    const lines = all.slice(-args.tail_lines);
    const cut = kept.length < text.length || lines.length < all.length;
    return {
      structured: { vm: name, lines, cut },
      vm: name,
      facts: ["console", `${lines.length} line${lines.length === 1 ? "" : "s"}`],
      text: lines.join("\n"),
    };
  },
});
