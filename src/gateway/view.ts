import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type GetPromptResult,
  type InputRequiredResult,
  LOG_LEVEL_META_KEY,
  type Prompt,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  type Resource,
  ResourceNotFoundError,
  type ResourceTemplateType,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server";
import { type AuditVerdict, TOOL_NOT_OFFERED } from "../contract/audit.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { Extras, ExtrasCaller } from "../mcp/extras.ts";
import { LEGACY_RESOURCE_NOT_FOUND } from "../mcp/legacy-errors.ts";
import { DEFAULT_LEVEL, isLogLevel, isMoreVerbose, type LogLevel } from "../mcp/log-levels.ts";
import { Allowance } from "./allowance.ts";
import { Call } from "./calls.ts";
import { nameTools } from "./names.ts";
import { RPC_CODE, RpcError } from "./rpc/messages.ts";
import type { Gateway } from "./service.ts";

/** What the states of our own parked calls begin with, and those that servers have made. */
const OWN_STATE = "fb.";
const THEIR_STATE = "up.";
/** The one question of a round. */
const QUESTION = "question";

export interface ViewOptions {
  gateway: Gateway;
  /** Which servers are shown; asked anew each time. */
  servers: () => string[];
  /** Whether names carry their server's: at the endpoint of several. */
  isPrefixed: boolean;
  caller: ExtrasCaller;
}

/** What one client sees of MCP servers, and its requests to them. */
export class GatewayView implements Extras {
  readonly capabilities = { tools: { listChanged: true }, prompts: { listChanged: true }, logging: {} };
  readonly options = {};
  readonly #options: ViewOptions;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  get tools(): Tool[] {
    return this.#each((server, definitions) => {
      const byName = new Map(definitions.tools.map((tool) => [tool.name, tool]));
      return [...this.#namesOf(server)].map(([name, own]) => ({ ...byName.get(own), name }) as Tool);
    });
  }

  get prompts(): Prompt[] {
    return this.#each((server, { prompts }) =>
      prompts.map((prompt) => ({ ...prompt, name: this.#prefixed(server, prompt.name) }) as Prompt),
    );
  }

  get resources(): Resource[] {
    return this.#each((_server, { resources }) => resources as Resource[]);
  }

  get resourceTemplates(): ResourceTemplateType[] {
    return this.#each((_server, { resourceTemplates }) => resourceTemplates as ResourceTemplateType[]);
  }

  /** Undefined for a tool that is none of these, or that is not offered: the audit log has that it was called. */
  callTool(
    name: string,
    args: Record<string, unknown>,
    context: ServerContext,
  ): Promise<CallToolResult | InputRequiredResult> | undefined {
    for (const server of this.#options.servers()) {
      const own = this.#namesOf(server).get(name);
      if (own !== undefined) return this.#callTool(server, own, args, context);
    }
    const meant = this.#options.servers().find((server) => name.startsWith(this.#prefixed(server, "")));
    if (meant === undefined) return undefined;
    const tool = name.slice(this.#prefixed(meant, "").length, MAX_WORD);
    this.#recorder(meant, { tool, args }, context)("denied", 0, TOOL_NOT_OFFERED);
    return undefined;
  }

  /** Undefined for a prompt that is none of these. */
  getPrompt(
    name: string,
    args: Record<string, string>,
    context: ServerContext,
  ): Promise<GetPromptResult | InputRequiredResult> | undefined {
    for (const server of this.#options.servers()) {
      const found = this.#options.gateway
        .definitionsOf(server)
        ?.prompts.find((prompt) => this.#prefixed(server, prompt.name) === name);
      if (found === undefined) continue;
      const params = { name: found.name, arguments: args };
      return this.#round(server, "prompts/get", params, context).catch(translate) as Promise<
        GetPromptResult | InputRequiredResult
      >;
    }
    return undefined;
  }

  /** Undefined for a resource that is none of these. */
  readResource(uri: string, context: ServerContext): Promise<ReadResourceResult | InputRequiredResult> | undefined {
    const server = this.serverOfResource(uri);
    if (server === undefined) return undefined;
    return this.#round(server, "resources/read", { uri }, context).catch((thrown: unknown) =>
      translate(isNotFound(thrown) ? new ResourceNotFoundError(uri, thrown.message) : thrown),
    ) as Promise<ReadResourceResult | InputRequiredResult>;
  }

  complete(
    params: { ref: Record<string, unknown>; argument: unknown; context?: unknown },
    context: ServerContext,
  ): Promise<Record<string, unknown>> | undefined {
    const { ref } = params;
    if (ref.type === "ref/resource") {
      const server = this.#find((definitions) =>
        definitions.resourceTemplates.some(({ uriTemplate }) => uriTemplate === ref.uri),
      );
      return server === undefined ? undefined : this.#plain(server, "completion/complete", params, context);
    }
    for (const server of this.#options.servers()) {
      const found = this.#options.gateway
        .definitionsOf(server)
        ?.prompts.find((prompt) => this.#prefixed(server, prompt.name) === ref.name);
      if (found !== undefined)
        return this.#plain(server, "completion/complete", { ...params, ref: { ...ref, name: found.name } }, context);
    }
    return undefined;
  }

  /** The server that lists a resource, has a template for it, or is the only one that there is. */
  serverOfResource(uri: string): string | undefined {
    return (
      this.#find(({ resources }) => resources.some((resource) => resource.uri === uri)) ??
      this.#find(({ resourceTemplates }) => resourceTemplates.some(({ uriTemplate }) => couldBe(uri, uriTemplate))) ??
      (this.#options.isPrefixed ? undefined : this.#options.servers()[0])
    );
  }

  isWatchable(uri: string): boolean {
    return this.serverOfResource(uri) !== undefined;
  }

  #find(has: (definitions: NonNullable<ReturnType<Gateway["definitionsOf"]>>) => boolean): string | undefined {
    const { gateway, servers } = this.#options;
    return servers().find((server) => {
      const definitions = gateway.definitionsOf(server);
      return definitions !== undefined && has(definitions);
    });
  }

  #each<T>(list: (server: string, definitions: NonNullable<ReturnType<Gateway["definitionsOf"]>>) => T[]): T[] {
    const { gateway, servers } = this.#options;
    return servers().flatMap((server) => {
      const definitions = gateway.definitionsOf(server);
      return definitions === undefined ? [] : list(server, definitions);
    });
  }

  #namesOf(server: string): Map<string, string> {
    const { gateway, isPrefixed } = this.#options;
    const tools = gateway.definitionsOf(server)?.tools ?? [];
    return nameTools(
      server,
      tools.map(({ name }) => name),
      gateway.configOf(server).tools,
      isPrefixed,
    );
  }

  #prefixed(server: string, name: string): string {
    return this.#options.isPrefixed ? `${server}__${name}` : name;
  }

  async #callTool(
    server: string,
    name: string,
    args: Record<string, unknown>,
    context: ServerContext,
  ): Promise<CallToolResult | InputRequiredResult> {
    const record = this.#recorder(server, { tool: name, args }, context);
    try {
      const result = await this.#round(server, "tools/call", { name, arguments: args }, context);
      if (result.resultType === "input_required") return result as InputRequiredResult;
      if (!Array.isArray(result.content) && result.structuredContent === undefined)
        throw new FirebreakError(
          "SERVER_PROTOCOL_ERROR",
          `the server '${server}' answered a call with something that is no result of a tool`,
        );
      const bytes = Buffer.byteLength(JSON.stringify(result));
      this.#options.gateway.limitsOf(server).checkResult(bytes);
      record(result.isError === true ? "tool_error" : "ok", bytes);
      return result as CallToolResult;
    } catch (thrown) {
      if (context.mcpReq.signal.aborted) record("canceled", 0, "OPERATION_CANCELED");
      else if (thrown instanceof RpcError) record("failed", 0, String(thrown.code));
      // What a server answers in the place of a result is the protocol's; what has become of the server, the model has to read.
      if (thrown instanceof RpcError) throw translated(thrown);
      if (context.mcpReq.signal.aborted) throw thrown;
      const error = toFirebreakError(thrown);
      record(error.code === "SERVER_BUSY" || error.code === "AUDIT_UNAVAILABLE" ? "denied" : "failed", 0, error.code);
      const text = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
      return {
        isError: true,
        content: [{ type: "text", text: `${error.code}: ${text}` }],
        _meta: { "firebreak/error": error.toBody() },
      };
    }
  }

  /** For the audit log, once a call has ended. */
  #recorder(server: string, { tool, args }: { tool: string; args: unknown }, context: ServerContext) {
    const { gateway, caller } = this.#options;
    const startedMs = performance.now();
    const told = (context.mcpReq.envelope as Record<string, { name?: unknown; version?: unknown }> | undefined)?.[
      CLIENT_INFO_META_KEY
    ];
    const { name, version } = told ?? caller.info() ?? {};
    return (verdict: AuditVerdict, responseBytes: number, code?: string) =>
      gateway.audit.record({
        client: {
          principal: nameOfPrincipal(caller.principal),
          ...(typeof name === "string" ? { name: name.slice(0, MAX_WORD) } : {}),
          ...(typeof version === "string" ? { version: version.slice(0, MAX_WORD) } : {}),
        },
        server,
        tool,
        requestBytes: Buffer.byteLength(JSON.stringify(args)),
        responseBytes,
        durationMs: Math.round((performance.now() - startedMs) * 10) / 10,
        verdict,
        ...(code === undefined ? {} : { code }),
        arguments: args,
      });
  }

  async #plain(
    server: string,
    method: string,
    params: Record<string, unknown>,
    context: ServerContext,
  ): Promise<Record<string, unknown>> {
    const { gateway } = this.#options;
    return gateway
      .managed(server)
      .use(this.#keyOf(server), {}, ({ session }) =>
        session.request(method, params, {
          signal: context.mcpReq.signal,
          capabilities: this.#capabilities(context),
          timeoutMs: timeoutOf(gateway, server),
        }),
      )
      .catch(translate);
  }

  /** One round of a request that may take several: what the server asks meanwhile goes to the client, whose answer comes with the next round. */
  async #round(
    server: string,
    method: string,
    params: Record<string, unknown>,
    context: ServerContext,
  ): Promise<Record<string, unknown>> {
    const { gateway } = this.#options;
    const { signal, inputResponses, requestState } = context.mcpReq;
    const subject = JSON.stringify([server, method, params.name ?? params.uri]);
    const state = requestState<string>();
    const call = state?.startsWith(OWN_STATE)
      ? this.#resume(state.slice(OWN_STATE.length), subject, inputResponses)
      : this.#begin(server, method, this.#withAnswers(params, state, inputResponses), context);
    const outcome = await call.next(signal);
    if ("result" in outcome) return this.#toOurs(outcome.result);
    const { question } = outcome;
    const parked = gateway.parked.park(call, question, subject);
    const { method: asked } = question;
    // What the server has sent along is between it and us.
    const { _meta, ...about } = question.params;
    return {
      resultType: "input_required",
      inputRequests: { [QUESTION]: { method: asked, params: about } },
      requestState: `${OWN_STATE}${parked}`,
    };
  }

  #resume(state: string, subject: string, inputResponses: unknown): Call {
    const { gateway, caller } = this.#options;
    const { call, question } = gateway.parked.take(state, caller.principal, subject);
    const answer = (inputResponses as Record<string, Record<string, unknown>> | undefined)?.[QUESTION];
    if (answer === undefined) question.refuse(new RpcError({ code: -32_602, message: "the client did not answer" }));
    else question.answer(answer);
    return call;
  }

  /** Rounds that a server of the new revision counts itself. */
  #withAnswers(
    params: Record<string, unknown>,
    state: string | undefined,
    inputResponses: unknown,
  ): Record<string, unknown> {
    return {
      ...params,
      ...(inputResponses === undefined ? {} : { inputResponses }),
      ...(state?.startsWith(THEIR_STATE) ? { requestState: state.slice(THEIR_STATE.length) } : {}),
    };
  }

  #toOurs(result: Record<string, unknown>): Record<string, unknown> {
    if (result.resultType === "input_required")
      return typeof result.requestState === "string"
        ? { ...result, requestState: `${THEIR_STATE}${result.requestState}` }
        : result;
    const { resultType: _its, _meta, ...rest } = result;
    const { "io.modelcontextprotocol/serverInfo": _info, ...meta } = (
      typeof _meta === "object" && _meta !== null ? _meta : {}
    ) as Record<string, unknown>;
    return Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
  }

  #begin(server: string, method: string, params: Record<string, unknown>, context: ServerContext): Call {
    const { gateway, caller } = this.#options;
    const key = this.#keyOf(server);
    const managed = gateway.managed(server);
    const { progressToken } = (context.mcpReq._meta ?? {}) as { progressToken?: string | number };
    const allowance = new Allowance();
    const notify = (params: Record<string, unknown>) => {
      if (!allowance.take()) return;
      // A client that is gone needs no news.
      void context.mcpReq
        .notify({ method: "notifications/progress", params: { ...params, progressToken } as never })
        .catch(() => {});
    };
    const capabilities = this.#capabilities(context);
    gateway.audit.requireWritable();
    const leave = gateway.limitsOf(server).enter();
    const logLevel = this.#logLevel(context);
    const call: Call = new Call(
      {
        principal: caller.principal,
        capabilities,
        onLog: ({ level, data, logger }) => {
          if (!isLogLevel(level) || logLevel === undefined || isMoreVerbose(level, logLevel)) return;
          if (!allowance.take()) return;
          context.mcpReq.log(level, data, typeof logger === "string" ? logger : undefined).catch(() => {});
        },
      },
      (signal) =>
        managed.use(key, { signal }, ({ session }) =>
          session.request(method, params, {
            signal,
            capabilities,
            logLevel,
            timeoutMs: timeoutOf(gateway, server),
            caller: { ask: (...asked) => call.ask(...asked), log: (params) => call.owner.onLog(params) },
            ...(progressToken === undefined ? {} : { onProgress: notify }),
          }),
        ),
    );
    call.result.finally(leave).catch(() => {});
    gateway.calls(server, key).begin(call);
    return call;
  }

  /** Undefined for a client that wants to hear nothing. */
  #logLevel({ mcpReq }: ServerContext): LogLevel | undefined {
    if (mcpReq.envelope === undefined) return this.#options.caller.logLevel() ?? DEFAULT_LEVEL;
    const wanted = (mcpReq.envelope as Record<string, unknown>)[LOG_LEVEL_META_KEY];
    return isLogLevel(wanted) ? wanted : undefined;
  }

  #keyOf(server: string): string | undefined {
    const { gateway, caller } = this.#options;
    return gateway.keyOf(server, caller);
  }

  #capabilities(context: ServerContext): Record<string, unknown> {
    const envelope = context.mcpReq.envelope as Record<string, Record<string, unknown>> | undefined;
    return envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? this.#options.caller.capabilities();
  }
}

/** The audit log takes no longer words. */
const MAX_WORD = 256;

/** A principal is `local`, or an API key as JSON; that of a server's own endpoint has the server's name before it. */
function nameOfPrincipal(principal: string): string {
  const own = principal.startsWith("{") ? principal : principal.slice(principal.indexOf(" ") + 1);
  if (!own.startsWith("{")) return own;
  return String((JSON.parse(own) as { name: string }).name).slice(0, MAX_WORD);
}

function timeoutOf(gateway: Gateway, server: string): number | undefined {
  return gateway.configOf(server).limits.callTimeoutMs;
}

/** Whether a URI begins as a template's do. */
function couldBe(uri: string, template: string): boolean {
  const [head = ""] = template.split("{");
  return head !== "" && uri.startsWith(head);
}

function translated(error: RpcError): ProtocolError {
  return new ProtocolError(error.code, error.message, error.data);
}

/** A resource that a server does not have: the older revisions have a code for that, 2026-07-28 has the URI beside that of wrong parameters. */
function isNotFound(thrown: unknown): thrown is RpcError {
  if (!(thrown instanceof RpcError)) return false;
  if (thrown.code === LEGACY_RESOURCE_NOT_FOUND) return true;
  const { uri } = (typeof thrown.data === "object" && thrown.data !== null ? thrown.data : {}) as { uri?: unknown };
  return thrown.code === RPC_CODE.invalidParams && typeof uri === "string";
}

function translate(thrown: unknown): never {
  if (thrown instanceof ProtocolError) throw thrown;
  if (thrown instanceof RpcError) throw translated(thrown);
  const error = toFirebreakError(thrown);
  throw new ProtocolError(ProtocolErrorCode.InternalError, error.message, error.toBody());
}
