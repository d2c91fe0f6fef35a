import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { moveSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { GuestClient } from "../../guest/client.ts";
import { type Api, type ApiContext, answerRaw, readJson } from "./context.ts";
import { callerSignal, parseCount, parseGuestPath, parseMode, parseRequest } from "./responses.ts";
import type { VmDeps } from "./vm-routes.ts";
import { wholeBody } from "./whole-body.ts";

const DEFAULT_PAGE = 1000;
const MAX_PAGE = 10_000;

export function addFileRoutes(api: Api, { vms }: VmDeps): void {
  // A VM that is starting is waited for, a suspended one is brought back.
  const use = <T>(context: ApiContext, work: (client: GuestClient) => Promise<T>): Promise<T> => {
    const signal = callerSignal(context);
    return vms.use(context.req.param("vm") ?? "", { signal }, (live) => work(live.client));
  };
  const path = (context: ApiContext) => parseGuestPath(context.req.query("path"));

  api.get("/v1/vms/:vm/file", async (context) => {
    const offset = parseCount(context.req.query("offset"), "offset");
    const length = parseCount(context.req.query("length"), "length");
    const range = { ...(offset === undefined ? {} : { offset }), ...(length === undefined ? {} : { length }) };
    const target = path(context);
    return use(context, async (client) => {
      const file = await client.readFile(target, range);
      return sendBytes(context, file.body, {
        "content-type": "application/octet-stream",
        "firebreak-stat": encodeURIComponent(JSON.stringify(file.stat)),
        ...(file.sizeBytes === undefined ? {} : { "content-length": String(file.sizeBytes) }),
      });
    });
  });
  api.put("/v1/vms/:vm/file", async (context) => {
    const mode = parseMode(context.req.query("mode"));
    const settings = { ...(mode === undefined ? {} : { mode }), parents: context.req.query("parents") === "true" };
    const target = path(context);
    const signal = callerSignal(context);
    const stat = await use(context, (client) => client.writeFile(target, wholeBody(context), settings, { signal }));
    return context.json(stat);
  });
  api.delete("/v1/vms/:vm/file", async (context) => {
    const target = path(context);
    await use(context, (client) => client.deleteFile(target, context.req.query("recursive") === "true"));
    return context.json({ deleted: target });
  });
  api.get("/v1/vms/:vm/stat", async (context) => {
    const target = path(context);
    const look = (client: GuestClient) => client.stat(target, context.req.query("follow") !== "false");
    const isPeek = context.req.query("peek") === "true";
    const peek = () => vms.peek(context.req.param("vm") ?? "", (live) => look(live.client));
    return context.json(await (isPeek ? peek() : use(context, look)));
  });
  api.get("/v1/vms/:vm/dir", async (context) => {
    const limit = parseCount(context.req.query("limit"), "limit") ?? DEFAULT_PAGE;
    if (limit < 1 || limit > MAX_PAGE) throw new FirebreakError("INVALID_ARGUMENT", `limit: 1 to ${MAX_PAGE}`);
    const after = context.req.query("after");
    const target = path(context);
    const page = { limit, ...(after === undefined ? {} : { after }) };
    return context.json(await use(context, (client) => client.list(target, page)));
  });
  api.post("/v1/vms/:vm/dir", async (context) => {
    const mode = parseMode(context.req.query("mode"));
    const settings = { parents: context.req.query("parents") === "true", ...(mode === undefined ? {} : { mode }) };
    const target = path(context);
    return context.json(await use(context, (client) => client.makeDirectory(target, settings)));
  });
  api.post("/v1/vms/:vm/move", async (context) => {
    const body = parseRequest(moveSchema, await readJson(context));
    const [from, to] = [parseGuestPath(body.from), parseGuestPath(body.to)];
    await use(context, (client) => client.move(from, to, body.overwrite ?? false));
    return context.json({ moved: body.to });
  });
  api.get("/v1/vms/:vm/archive", (context) => {
    const target = path(context);
    return use(context, async (client) =>
      sendBytes(context, await client.readArchive(target), { "content-type": "application/x-tar" }),
    );
  });
  api.put("/v1/vms/:vm/archive", async (context) => {
    const target = path(context);
    const signal = callerSignal(context);
    return context.json(await use(context, (client) => client.writeArchive(target, wholeBody(context), { signal })));
  });
}

function sendBytes(context: ApiContext, body: Readable, headers: Record<string, string>): Promise<Response> {
  return answerRaw(context, async (_incoming, outgoing) => {
    outgoing.writeHead(200, headers);
    // A body that breaks off breaks the answer off: the caller sees a short body, never a wrong one.
    await pipeline(body, outgoing).catch(() => outgoing.destroy());
  });
}
