import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  serverApplySchema,
  serverApproveSchema,
  serverLoginFinishSchema,
  serverLoginSchema,
  serverUpdateSchema,
} from "../../contract/server.ts";
import type { Gateway } from "../../gateway/service.ts";
import { requireLocal, requireOwner } from "./caller.ts";
import { type Api, answerRaw, type Caller, readJson } from "./context.ts";
import { answerProgress, parseRequest, signalOfCaller } from "./responses.ts";

/** A file of many servers has long environments. */
const MAX_APPLY_BYTES = 8 * 1024 * 1024;

export interface ServerDeps {
  gateway: Gateway;
  serverLogs: {
    read(server: string): Buffer;
    follow(server: string, onText: (text: string) => void): () => void;
    forget(server: string): void;
  };
  serverMcp: {
    /** Answers a request to one server's MCP endpoint. */
    handle(server: string, incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void>;
    /** The same for clients of 2024. */
    handleSse(server: string, incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void>;
  };
}

/** MCP servers in VMs. */
export function addServerRoutes(api: Api, { gateway, serverLogs, serverMcp }: ServerDeps): void {
  api.get("/v1/servers", (context) => context.json({ servers: gateway.list() }));
  api.put("/v1/servers", async (context) => {
    requireLocal(context);
    const { source, servers, workspace } = parseRequest(serverApplySchema, await readJson(context, MAX_APPLY_BYTES));
    return context.json(await gateway.apply(source, servers, workspace));
  });
  api.get("/v1/servers/:server", (context) => context.json(gateway.get(context.req.param("server"))));
  api.post("/v1/servers/:server/prepare", (context) => {
    const { name } = gateway.get(context.req.param("server"));
    return answerProgress(context, (options) =>
      gateway.prepare(name, { ...options, isForced: true, isAsLocked: true }),
    );
  });
  api.post("/v1/servers/:server/start", (context) => {
    const { name } = gateway.get(context.req.param("server"));
    return answerProgress(context, (options) => gateway.start(name, options));
  });
  api.post("/v1/servers/:server/stop", async (context) =>
    context.json(await gateway.stop(context.req.param("server"))),
  );
  api.post("/v1/servers/:server/scan", (context) => {
    const { name } = gateway.get(context.req.param("server"));
    return answerProgress(context, (options) => gateway.scan(name, options));
  });
  api.post("/v1/servers/:server/approve", async (context) => {
    requireOwner(context);
    const { name } = gateway.get(context.req.param("server"));
    const { only } = parseRequest(serverApproveSchema, await readJson(context));
    return answerProgress(context, (options) => gateway.approve(name, only, options));
  });
  api.post("/v1/servers/:server/update", async (context) => {
    const { name } = gateway.get(context.req.param("server"));
    const { trial } = parseRequest(serverUpdateSchema, await readJson(context));
    return answerProgress(context, (options) => gateway.update(name, trial, options));
  });
  api.post("/v1/servers/:server/login", async (context) => {
    requireLocal(context);
    const { name } = gateway.get(context.req.param("server"));
    const { redirectUri } = parseRequest(serverLoginSchema, await readJson(context));
    return answerProgress(context, (options) => gateway.beginLogin(name, redirectUri, options));
  });
  api.post("/v1/servers/:server/login/finish", async (context) => {
    requireLocal(context);
    const { name } = gateway.get(context.req.param("server"));
    const { callback } = parseRequest(serverLoginFinishSchema, await readJson(context));
    return answerProgress(context, (options) => gateway.finishLogin(name, callback, options));
  });
  api.delete("/v1/servers/:server/login", async (context) => {
    requireLocal(context);
    return context.json(await gateway.logOut(context.req.param("server")));
  });
  api.delete("/v1/servers/:server", async (context) => {
    const { name } = gateway.get(context.req.param("server"));
    // What has not come back of its copies keeps it.
    await gateway.stop(name);
    await gateway.remove(name);
    serverLogs.forget(name);
    return context.json({ deleted: name });
  });
  api.get("/v1/servers/:server/log", (context) => {
    const { name } = gateway.get(context.req.param("server"));
    const follow = context.req.query("follow") === "true";
    return answerRaw(context, async (_incoming, outgoing) => {
      outgoing.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
      outgoing.write(serverLogs.read(name));
      if (follow) {
        outgoing.flushHeaders();
        const signal = signalOfCaller(outgoing);
        const stop = serverLogs.follow(name, (text) => void outgoing.write(text));
        if (!signal.aborted) await once(signal, "abort");
        stop();
      }
      outgoing.end();
    });
  });
  api.all("/servers/:server/mcp", (context) => {
    const name = context.req.param("server");
    return answerRaw(context, (incoming, outgoing) => serverMcp.handle(name, incoming, outgoing, context.env.caller));
  });
  api.all("/servers/:server/sse", (context) => {
    const name = context.req.param("server");
    return answerRaw(context, (incoming, outgoing) =>
      serverMcp.handleSse(name, incoming, outgoing, context.env.caller),
    );
  });
}
