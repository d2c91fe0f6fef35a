import type { Server, ServerConfig } from "../contract/server.ts";
import type { Vm } from "../contract/vm.ts";
import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { Approved } from "./approved.ts";
import { hasPassword, isToken } from "./config/tokens.ts";
import type { Managed } from "./managed.ts";
import { nameTools } from "./names.ts";
import { loginCommand } from "./oauth/faults.ts";
import type { PinnedImage } from "./server-image.ts";
import type { ServerRecord, WarmState } from "./server-store.ts";
import type { Definitions } from "./upstream/definitions.ts";

/** What is known of a server that callers may see. */
export interface ServerFacts {
  record: ServerRecord;
  managed: Managed;
  approved: Approved;
  failure?: FirebreakError;
  /** How many are making it ready. */
  preparing: number;
}

/** A server as the API shows it. */
export function toServer(facts: ServerFacts, vms: readonly Vm[]): Server {
  const { record, managed, approved } = facts;
  const { config, source } = record;
  const { warm, installed } = managed;
  const definitions = managed.definitions === undefined ? undefined : onlyApproved(managed.definitions, approved);
  const tools = definitions?.tools ?? [];
  const names = nameTools(
    config.name,
    tools.map(({ name }) => name),
    config.tools,
    true,
  );
  return {
    name: config.name,
    kind: config.kind,
    state: stateOf(facts),
    ...whyNot(facts),
    source,
    config: withoutValues(config),
    packages: installed?.installed.packages.slice(0, 1) ?? [],
    ...imageOf(installed?.installed.image),
    ...(warm === undefined
      ? {}
      : {
          protocol: { era: warm.terms.era, version: warm.terms.protocolVersion },
          implementation: { name: warm.terms.serverInfo.name, version: warm.terms.serverInfo.version },
          preparedAt: warm.at,
        }),
    tools: [...names].map(([as, name]) => {
      const description = tools.find((tool) => tool.name === name)?.description;
      return { name, as, ...(description === undefined ? {} : { description }) };
    }),
    prompts: definitions?.prompts.length ?? 0,
    resources: definitions?.resources.length ?? 0,
    waiting: countWaiting(managed.definitions, approved),
    ...(definitions === undefined || approved.verdict === undefined ? {} : { scan: approved.verdict }),
    vms: vms.map((vm) => vm.name),
    warnings: warm !== undefined && "warnings" in warm ? ((warm as WarmState).warnings ?? []) : [],
  };
}

function imageOf(image: PinnedImage | undefined): Pick<Server, "image"> {
  return image === undefined ? {} : { image: { name: image.name, digest: image.digest } };
}

/** What keeps it from answering, and when that is tried again. */
function whyNot({ record, failure, managed }: ServerFacts): Pick<Server, "reason" | "retryAt"> {
  if (record.config.enabled && managed.login?.isNeeded)
    return { reason: `log in: ${loginCommand(record.config.name)}` };
  const last = managed.failure;
  const reason = failure?.message ?? last?.error.message;
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(last === undefined ? {} : { retryAt: new Date(last.retryAtMs).toISOString() }),
  };
}

function stateOf({ record, managed, failure, preparing }: ServerFacts): Server["state"] {
  if (!record.config.enabled) return "disabled";
  if (preparing > 0) return "preparing";
  if (managed.login?.isNeeded) return "needs_login";
  if (managed.isUp) return "running";
  if (failure !== undefined || managed.failure !== undefined) return "failed";
  return managed.warm === undefined ? "new" : "stopped";
}

/** A token that somebody has left in a configuration file is not for whoever may ask what servers there are. */
function withoutValues(config: ServerConfig): ServerConfig {
  const values = (record: Record<string, string>) =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, isReference(value) ? value : HIDDEN]));
  if (config.kind === "remote") return { ...config, headers: values(config.headers) };
  return {
    ...config,
    command: config.command.map(hideToken),
    args: config.args.map(hideToken),
    env: values(config.env),
  };
}

const HIDDEN = "…";

/** A word of a command line, which may be `--option=VALUE`. */
function hideToken(word: string): string {
  const [, option = "", value = word] = /^(--?[\w-]+=)(.*)$/s.exec(word) ?? [];
  return isToken(value) || hasPassword(value) ? `${option}${HIDDEN}` : word;
}

const isReference = (value: string) => /^\$\{secret:[A-Za-z0-9_]+\}$/.test(value);

/** What of a server's definitions may be offered. */
export function onlyApproved(definitions: Definitions, approved: Approved): Definitions {
  return {
    tools: definitions.tools.filter(({ name }) => approved.tool.has(name)),
    prompts: definitions.prompts.filter(({ name }) => approved.prompt.has(name)),
    resources: definitions.resources.filter(({ uri }) => approved.resource.has(uri)),
    resourceTemplates: definitions.resourceTemplates.filter(({ uriTemplate }) =>
      approved.resource_template.has(uriTemplate),
    ),
  };
}

/** How much of what it offers waits for an approval. */
function countWaiting(definitions: Definitions | undefined, approved: Approved): number {
  if (definitions === undefined) return 0;
  const offered = onlyApproved(definitions, approved);
  return (Object.keys(offered) as (keyof Definitions)[]).reduce(
    (sum, kind) => sum + definitions[kind].length - offered[kind].length,
    0,
  );
}
