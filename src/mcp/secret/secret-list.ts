import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeSecret, secretViewSchema, toSecretView } from "./secret-view.ts";

export const secretList = defineTool({
  name: "secret_list",
  title: "List secrets",
  description:
    "Lists the secrets that VMs can be given by name (vm_create's secrets), never their values. People set them on the command line: firebreak secret set.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ secrets: z.array(secretViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const secrets = await client.secrets.list({ signal });
    return {
      structured: { secrets: secrets.map(toSecretView) },
      facts: [`${secrets.length} secret${secrets.length === 1 ? "" : "s"}`],
      text: secrets.map(describeSecret).join("\n"),
    };
  },
});
