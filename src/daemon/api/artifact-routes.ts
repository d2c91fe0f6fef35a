import { pipeline } from "node:stream/promises";
import type { ArtifactService } from "../../artifacts/service.ts";
import { artifactCreateSchema } from "../../contract/artifact.ts";
import type { VmService } from "../../vms/service.ts";
import { type Api, answerRaw, readJson } from "./context.ts";
import { answerProgress, parseCount, parseGuestPath, parseRequest } from "./responses.ts";

export interface ArtifactDeps {
  vms: VmService;
  artifacts: ArtifactService;
}

/** Files and directories of VMs that are kept. */
export function addArtifactRoutes(api: Api, { vms, artifacts }: ArtifactDeps): void {
  api.post("/v1/vms/:vm/artifacts", async (context) => {
    const vm = vms.requireUsable(context.req.param("vm"));
    const request = parseRequest(artifactCreateSchema, await readJson(context));
    parseGuestPath(request.path);
    return answerProgress(context, (options) =>
      vms.use(vm.id, options, ({ client }) => artifacts.create(vm, client, request, options)),
    );
  });
  api.get("/v1/artifacts", (context) => context.json({ artifacts: artifacts.list() }));
  api.get("/v1/artifacts/:artifact", (context) => context.json(artifacts.get(context.req.param("artifact"))));
  api.get("/v1/artifacts/:artifact/content", (context) => {
    const artifact = artifacts.get(context.req.param("artifact"));
    const offset = parseCount(context.req.query("offset"), "offset");
    const length = parseCount(context.req.query("length"), "length");
    const body = artifacts.read(artifact, { offset, length });
    return answerRaw(context, async (_incoming, outgoing) => {
      // Bytes of a VM's making are never a page of this origin, whatever they are.
      outgoing.writeHead(200, { "content-type": "application/octet-stream", "x-content-type-options": "nosniff" });
      await pipeline(body, outgoing).catch(() => outgoing.destroy());
    });
  });
  api.delete("/v1/artifacts/:artifact", async (context) => {
    const { name, id } = await artifacts.delete(context.req.param("artifact"));
    return context.json({ deleted: name, id });
  });
}
