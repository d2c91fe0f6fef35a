import { z } from "zod";
import { secretNameSchema } from "../../contract/secret.ts";
import { defineTool } from "../tool.ts";
import { describeSecret, secretViewSchema, toSecretView } from "./secret-view.ts";

export const secretGet = defineTool({
  name: "secret_get",
  title: "Show a secret",
  description: "Shows for which hosts a secret is and which VMs may use it, never its value.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ secret: secretNameSchema.describe("Its name, such as GITHUB_TOKEN.") }),
  outputSchema: secretViewSchema,
  handler: async ({ secret: name }, { client, signal }) => {
    const secret = await client.secrets.get(name, { signal });
    return { structured: toSecretView(secret), facts: [`secret ${name}`], text: describeSecret(secret) };
  },
});
