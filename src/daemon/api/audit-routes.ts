import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { AuditService } from "../../audit/service.ts";
import {
  AUDIT_FORMATS,
  AUDIT_VERDICTS,
  type AuditEntry,
  type AuditFilter,
  type AuditPage,
  auditReportSchema,
  DEFAULT_AUDIT_PAGE,
  MAX_AUDIT_PAGE,
} from "../../contract/audit.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { type Api, type ApiContext, answerRaw, readJson } from "./context.ts";
import { callerSignal, parseCount, parseRequest, signalOfCaller } from "./responses.ts";

const KEEPALIVE_MS = 15_000;
const FOLLOW_PAGE = 500;

export interface AuditDeps {
  audit: AuditService;
}

export function addAuditRoutes(api: Api, { audit }: AuditDeps): void {
  api.get("/v1/audit", async (context): Promise<Response> => {
    const filter = filterOf(context);
    const isStream = (context.req.header("accept") ?? "").includes("text/event-stream");
    const given = context.req.query("after") ?? (isStream ? context.req.header("last-event-id") : undefined);
    const after = parseCount(given, "after");
    if (isStream || context.req.query("follow") === "true")
      return answerRaw(context, (_incoming, outgoing) => follow(outgoing, audit, filter, after, isStream));
    const limit = parseCount(context.req.query("limit"), "limit") ?? DEFAULT_AUDIT_PAGE;
    if (limit < 1 || limit > MAX_AUDIT_PAGE)
      throw new FirebreakError("INVALID_ARGUMENT", `limit: 1 to ${MAX_AUDIT_PAGE}`);
    const { entries, more } = await audit.page(filter, { after, limit, signal: callerSignal(context) });
    const page: AuditPage = { entries, more };
    return context.json(page);
  });
  api.get("/v1/audit/export", (context) => {
    const filter = filterOf(context);
    const format = AUDIT_FORMATS.find((one) => one === context.req.query("format")) ?? "jsonl";
    return answerRaw(context, async (_incoming, outgoing) => {
      const signal = signalOfCaller(outgoing);
      const pieces = audit.export(filter, format, signal);
      // What keeps the log from being read is an answer of its own, not the end of one.
      let piece = await pieces.next();
      outgoing.writeHead(200, {
        "content-type": format === "csv" ? "text/csv; charset=utf-8" : "application/x-ndjson",
      });
      for (; !piece.done; piece = await pieces.next()) await send(outgoing, piece.value, signal);
      outgoing.end();
    });
  });
  api.post("/v1/audit", async (context) => {
    const { client, ...call } = parseRequest(auditReportSchema, await readJson(context));
    const { caller } = context.env;
    const principal = caller.via === "socket" ? "local" : caller.key.name;
    audit.record({ ...call, server: "firebreak", client: { principal, ...client } });
    return context.body(null, 204);
  });
  api.post("/v1/audit/verify", async (context) => context.json(await audit.verify(callerSignal(context))));
}

function filterOf(context: ApiContext): AuditFilter {
  const query = (name: string) => context.req.query(name) || undefined;
  const since = query("since");
  const time = since === undefined ? undefined : new Date(since);
  if (time !== undefined && Number.isNaN(time.getTime()))
    throw new FirebreakError("INVALID_ARGUMENT", `since: '${since}' is not a time such as 2026-01-31T12:00:00Z`);
  return {
    since: time?.toISOString(),
    server: query("server"),
    client: query("client"),
    verdict: AUDIT_VERDICTS.find((verdict) => verdict === query("verdict")),
  };
}

/** Each entry once and in order, from the files at the reader's own pace: one that is slow costs no memory and misses nothing. */
async function follow(
  outgoing: ServerResponse,
  audit: AuditService,
  filter: AuditFilter,
  after: number | undefined,
  isStream: boolean,
): Promise<void> {
  const signal = signalOfCaller(outgoing);
  // Without a number, with what comes.
  let last = after ?? (await audit.page({}, { limit: 1, signal })).lastSeq;
  outgoing.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/x-ndjson" });
  outgoing.flushHeaders();
  const format = (entry: AuditEntry) =>
    isStream
      ? `id: ${entry.seq}\nevent: ${"note" in entry ? "note" : "call"}\ndata: ${JSON.stringify(entry)}\n\n`
      : `${JSON.stringify({ entry })}\n`;
  const keepalive = setInterval(() => outgoing.write(isStream ? ":\n\n" : "\n"), KEEPALIVE_MS);
  let wake = Promise.withResolvers<void>();
  const stop = audit.onEntries(() => wake.resolve());
  signal.addEventListener("abort", () => wake.resolve(), { once: true });
  try {
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const page = await audit.page(filter, { after: last, limit: FOLLOW_PAGE, signal });
      for (const entry of page.entries) await send(outgoing, format(entry), signal);
      last = page.lastSeq;
      if (!page.more) await wake.promise;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop();
    clearInterval(keepalive);
    outgoing.end();
  }
}

async function send(outgoing: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (!outgoing.write(text)) await once(outgoing, "drain", { signal });
}
