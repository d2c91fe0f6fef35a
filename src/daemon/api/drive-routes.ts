import type { IncomingMessage } from "node:http";
import {
  DRIVE_CONTENTS,
  type DriveContent,
  driveAttachSchema,
  driveCreateSchema,
  driveDetachSchema,
  driveGrowSchema,
  driveSizeSchema,
} from "../../contract/drive.ts";
import { nameSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { Drives } from "../../vms/drives.ts";
import type { VmService } from "../../vms/service.ts";
import { type Api, readJson } from "./context.ts";
import { answerProgress, callerSignal, parseCount, parseRequest } from "./responses.ts";

export interface DriveDeps {
  vms: VmService;
  drives: Drives;
}

/** Drives that outlive VMs, and which VM has which. */
export function addDriveRoutes(api: Api, { vms, drives }: DriveDeps): void {
  api.get("/v1/drives", async (context) => context.json({ drives: await drives.list() }));
  api.post("/v1/drives", async (context) => {
    const request = parseRequest(driveCreateSchema, await readJson(context));
    return context.json(await drives.create(request), 201);
  });
  api.get("/v1/drives/:drive", async (context) => context.json(await drives.get(context.req.param("drive"))));
  api.put("/v1/drives/:drive", async (context) => {
    const name = parseRequest(nameSchema, context.req.param("drive"));
    const content = parseContent(context.req.query("content"));
    const size = parseCount(context.req.query("sizeMib"), "sizeMib");
    const sizeMib = size === undefined ? undefined : parseRequest(driveSizeSchema, size);
    const body = context.env.incoming as IncomingMessage;
    const signal = callerSignal(context);
    const made = await drives.createFrom({ name, content, sizeMib }, body, { signal }).catch((error: unknown) => {
      // Closing with bytes unread would take the answer with them.
      body.resume();
      throw error;
    });
    return context.json(made, 201);
  });
  api.post("/v1/drives/:drive/grow", async (context) => {
    const { id } = await drives.get(context.req.param("drive"));
    const { sizeMib } = parseRequest(driveGrowSchema, await readJson(context));
    return answerProgress(context, (options) => drives.grow(id, sizeMib, options));
  });
  api.delete("/v1/drives/:drive", async (context) => {
    const { id, name } = await drives.delete(context.req.param("drive"));
    return context.json({ deleted: name, id });
  });
  api.get("/v1/vms/:vm/drives", (context) => context.json({ drives: drives.ofVm(context.req.param("vm")) }));
  api.post("/v1/vms/:vm/drives", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    const request = parseRequest(driveAttachSchema, await readJson(context));
    return answerProgress(context, (options) => drives.attach(id, request, options));
  });
  api.post("/v1/vms/:vm/drives/:drive/detach", async (context) => {
    const { vm, drive } = context.req.param();
    const { id } = vms.get(vm);
    const { force } = parseRequest(driveDetachSchema, await readJson(context));
    return answerProgress(context, (options) => drives.detach(id, drive, force ?? false, options));
  });
}

function parseContent(value: string | undefined): DriveContent {
  const content = DRIVE_CONTENTS.find((candidate) => candidate === value);
  if (content !== undefined) return content;
  throw new FirebreakError("INVALID_ARGUMENT", "content: a drive's content comes as raw or tar", {
    details: { field: "content" },
  });
}
