import { volumeCreateSchema } from "../../contract/drive.ts";
import { type Api, readJson } from "./context.ts";
import type { DriveDeps } from "./drive-routes.ts";
import { parseRequest } from "./responses.ts";

/** Volumes are the drives that have a file system. */
export function addVolumeRoutes(api: Api, { drives }: Pick<DriveDeps, "drives">): void {
  api.get("/v1/volumes", async (context) => context.json({ volumes: await drives.list("ext4") }));
  api.post("/v1/volumes", async (context) => {
    const request = parseRequest(volumeCreateSchema, await readJson(context));
    return context.json(await drives.create(request), 201);
  });
  api.get("/v1/volumes/:volume", async (context) =>
    context.json(await drives.get(context.req.param("volume"), "ext4")),
  );
  api.delete("/v1/volumes/:volume", async (context) => {
    const { id, name } = await drives.delete(context.req.param("volume"), "ext4");
    return context.json({ deleted: name, id });
  });
}
