import { z } from "zod";
import { secretNameSchema } from "../../contract/secret.ts";
import { defineTool } from "../tool.ts";

export const secretDelete = defineTool({
  name: "secret_delete",
  title: "Delete a secret",
  description:
    "Deletes a secret; there is no way back. One that a VM may use is refused unless force is true. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    secret: secretNameSchema.describe("Its name, such as GITHUB_TOKEN."),
    force: z.boolean().default(false).describe("Also one that VMs may use."),
  }),
  outputSchema: z.strictObject({ secret: z.string(), deleted: z.boolean() }),
  confirm: async ({ secret: name }, { client, signal }) => {
    const secret = await client.secrets.get(name, { signal });
    const users = secret.vms.length === 0 ? "no VM may use it" : `of use to ${secret.vms.join(", ")}`;
    return { steps: [`delete: the secret ${name}, ${users}`], state: secret };
  },
  handler: async ({ secret, force }, { client, signal }) => {
    await client.secrets.delete(secret, force, { signal });
    return { structured: { secret, deleted: true }, facts: [`secret ${secret}`, "deleted"] };
  },
});
