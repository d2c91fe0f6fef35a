import { secretNameSchema, secretRotateSchema, secretSetSchema } from "../../contract/secret.ts";
import type { SecretService } from "../../secrets/service.ts";
import { requireLocal } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

export interface SecretDeps {
  secrets: SecretService;
}

/** PUT, not POST: what is made once by an idempotency key is kept with a digest of its body, from which a weak value could be guessed. */
export function addSecretRoutes(api: Api, { secrets }: SecretDeps): void {
  api.get("/v1/secrets", (context) => context.json({ secrets: secrets.list() }));
  api.get("/v1/secrets/:secret", (context) => context.json(secrets.get(context.req.param("secret"))));
  api.put("/v1/secrets/:secret", async (context) => {
    requireLocal(context);
    const name = parseRequest(secretNameSchema, context.req.param("secret"));
    return context.json(secrets.set(name, parseRequest(secretSetSchema, await readJson(context))));
  });
  api.put("/v1/secrets/:secret/value", async (context) => {
    requireLocal(context);
    const { value } = parseRequest(secretRotateSchema, await readJson(context));
    return context.json(secrets.rotate(context.req.param("secret"), value));
  });
  api.delete("/v1/secrets/:secret", (context) => {
    const name = context.req.param("secret");
    secrets.delete(name, context.req.query("force") === "true");
    return context.json({ deleted: name });
  });
}
