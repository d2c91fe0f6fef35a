import { type ApiKey, type CreatedKey, type KeyCreate, keyCreateSchema } from "../../contract/key.ts";
import { requireLocal } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

export interface KeyDeps {
  keys: {
    list(): ApiKey[];
    create(request: KeyCreate): CreatedKey;
    /** By name or id. */
    revoke(nameOrId: string): ApiKey;
  };
}

export function addKeyRoutes(api: Api, { keys }: KeyDeps): void {
  api.get("/v1/keys", (context) => {
    requireLocal(context);
    return context.json({ keys: keys.list() });
  });
  api.post("/v1/keys", async (context) => {
    requireLocal(context);
    return context.json(keys.create(parseRequest(keyCreateSchema, await readJson(context))), 201);
  });
  api.delete("/v1/keys/:key", (context) => {
    requireLocal(context);
    return context.json({ revoked: keys.revoke(context.req.param("key")) });
  });
}
