import { z } from "zod";
import type { EgressRule } from "../../contract/policy.ts";
import { readMib, SIZE_WANTED } from "../../contract/quantities.ts";
import { secretNameSchema } from "../../contract/secret.ts";
import { envSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findNearest } from "../../errors/nearest.ts";
import { checkTable } from "../../gateway/config/check.ts";
import { type ConfigDocument, errorAt, isTable, type KeyPath } from "../../gateway/config/document.ts";
import type { AgentPackage, AgentReader, AgentRequest, AgentSecret, TaskAgent } from "./agent.ts";
import { AGENTS } from "./index.ts";
import { BASE_ENV, baseOf, promptOf } from "./launch.ts";

/** `[agents.NAME]` of firebreak.toml: agents of the owner's own, or built-in ones with other settings. */

const text = z.string({ error: "a text is wanted" }).min(1, "it is empty");
const MAX_AGENTS = 100;
/** As tasks may name one. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
/** npm's own rule for names, and a version as it is published: no range, no tag. */
const PACKAGE = /^((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)@(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$/;
const VERSION = /^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/;
const PLACEHOLDERS = ["prompt", "model", "cwd", "base_url"] as const;
/** Output that is shown as it is. */
const LINES = "lines";
const FORMATS = [LINES, ...AGENTS.flatMap(({ name, createReader }) => (createReader === undefined ? [] : [name]))];

const hosts = z
  .array(text.max(600, "a host has at most 600 characters"), { error: "a list of hosts is wanted" })
  .max(64, "at most 64 hosts");

const agentTableSchema = z.strictObject({
  title: text.max(100, "at most 100 characters").optional(),
  /** A built-in agent, of which only what stands here is otherwise. */
  extends: text.optional(),
  /** The program and its arguments, with placeholders; no shell looks at them. */
  command: z.array(text, { error: "a list of a program and its arguments is wanted" }).min(1, "it is empty").optional(),
  package: z.string().regex(PACKAGE, "an npm package is wanted, with its version: NAME@1.2.3").optional(),
  /** Below the package's `node_modules/.bin`. */
  program: z
    .string()
    .regex(/^[\w.-]+$/, "the name of a program is wanted")
    .optional(),
  version: z.string().regex(VERSION, "a version is wanted, such as 1.2.3").optional(),
  base_url: text.optional(),
  /** When a task names none. */
  model: text.max(200, "at most 200 characters").optional(),
  env: z.record(envSchema.keyType, z.string(), { error: "a table of variables is wanted" }).optional(),
  hosts: hosts.optional(),
  secrets: z
    .array(
      z.union([secretNameSchema, z.strictObject({ name: secretNameSchema, hosts })], {
        error: "the name of a secret is wanted",
      }),
      {
        error: "a list of secrets is wanted",
      },
    )
    .max(16, "at most 16 secrets")
    .optional(),
  memory: z.union([z.string(), z.number()], { error: `${SIZE_WANTED} is wanted` }).optional(),
  format: z.enum(FORMATS as [string, ...string[]], { error: `it is one of ${FORMATS.join(", ")}` }).optional(),
});
type AgentTable = z.output<typeof agentTableSchema>;

/** The agents of a configuration, the built-in ones first. Throws CONFIG_INVALID with file, line and key. */
export function readAgents(document: ConfigDocument): TaskAgent[] {
  const tables = isTable(document.value) && Object.hasOwn(document.value, "agents") ? document.value.agents : {};
  if (!isTable(tables)) throw errorAt(document, ["agents"], "a table of agents is wanted");
  const names = Object.keys(tables);
  if (names.length > MAX_AGENTS) throw errorAt(document, ["agents"], `there are at most ${MAX_AGENTS} agents`);
  return [...AGENTS, ...names.map((name) => readAgent(name, tables[name], document))];
}

function readAgent(name: string, value: unknown, document: ConfigDocument): TaskAgent {
  const path = ["agents", name];
  const refuse = (key: string | undefined, why: string) =>
    errorAt(document, key === undefined ? path : [...path, key], why);
  if (AGENTS.some((agent) => agent.name === name))
    throw refuse(
      undefined,
      "there is a built-in agent of that name; give this one another, and let it extend that one",
    );
  if (!NAME.test(name)) throw refuse(undefined, "an agent's name is made of a-z, 0-9 and '-', at most 32");
  const table = checkTable(agentTableSchema, value, { document, path });
  const at: Place = { document, path, refuse };
  checkMemory(table, at);
  checkBaseUrl(table, at);
  return table.extends === undefined ? ownAgent(name, table, at) : extendedAgent(name, table, at);
}

interface Place {
  document: ConfigDocument;
  path: KeyPath;
  refuse(key: string | undefined, why: string): FirebreakError;
}

function extendedAgent(name: string, table: AgentTable, { refuse }: Place): TaskAgent {
  const base = AGENTS.find((agent) => agent.name === table.extends && agent.createReader !== undefined);
  if (base === undefined) {
    const known = FORMATS.filter((format) => format !== LINES);
    const nearest = findNearest(table.extends ?? "", known);
    const meant = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean '${nearest}'?`;
    throw refuse("extends", `there is no built-in agent '${table.extends}', ${meant}`);
  }
  for (const key of ["command", "package", "program", "format"] as const)
    if (table[key] !== undefined) throw refuse(key, `it is that of '${base.name}', which this agent extends`);
  const own = urlHost(table.base_url);
  // Whoever has the model elsewhere has the key there, too.
  const secrets = own === undefined ? base.secrets : base.secrets.map((secret) => ({ ...secret, hosts: [own] }));
  return {
    ...commonOf(name, table, { hosts: rulesOf(table.base_url) ?? base.hosts, secrets, memoryMib: base.memoryMib }),
    title: table.title ?? base.title,
    ...(base.package === undefined
      ? {}
      : { package: { ...base.package, version: table.version ?? base.package.version } }),
    ...(base.keepsTurns ? { keepsTurns: true } : {}),
    launch: (request) => {
      const { argv, env, files } = base.launch(withDefaults(request, table));
      return { argv, env: { ...env, ...table.env }, files };
    },
    ...readerOf(base),
  };
}

function ownAgent(name: string, table: AgentTable, { refuse }: Place): TaskAgent {
  const { command } = table;
  if (command === undefined) throw refuse(undefined, "it has neither a command nor a built-in agent that it extends");
  if (table.version !== undefined) throw refuse("version", "it stands behind the package's name: NAME@1.2.3");
  if (table.program !== undefined && table.package === undefined)
    throw refuse("program", "it is that of a package, and there is none");
  if (!command.some((word) => word.includes("{prompt}")))
    throw refuse("command", "none of its words has {prompt}: the agent would not hear what to do");
  for (const [place, word] of command.entries()) {
    const [, inside] = /^\{([A-Za-z_]+)\}$/.exec(word) ?? [];
    if (inside === undefined || PLACEHOLDERS.some((known) => known === inside)) continue;
    const nearest = findNearest(inside, PLACEHOLDERS);
    throw refuse(
      `command`,
      `its word ${place + 1} is ${word}: ${nearest === undefined ? `there are ${PLACEHOLDERS.map((known) => `{${known}}`).join(", ")}` : `did you mean {${nearest}}?`}`,
    );
  }
  const format = AGENTS.find((agent) => agent.name === table.format);
  return {
    ...commonOf(name, table, { hosts: rulesOf(table.base_url) ?? [], secrets: [], memoryMib: 512 }),
    title: table.title ?? name,
    ...packageOf(table, command),
    // The output of one that is listened to may need the name for its price.
    ...(format === undefined && !command.some((word) => word.includes("{model}")) ? { takesNoModel: true } : {}),
    launch: (given) => {
      const request = withDefaults(given, table);
      const values: Record<(typeof PLACEHOLDERS)[number], () => string> = {
        prompt: () => promptOf(request, name),
        model: () => needed(request.model, name, "model"),
        cwd: () => request.cwd,
        base_url: () => needed(baseOf(request), name, "base URL"),
      };
      return {
        // In one go: what stands in a prompt is no placeholder.
        argv: command.map((word) =>
          word.replaceAll(/\{(prompt|model|cwd|base_url)\}/g, (_, key: keyof typeof values) => values[key]()),
        ),
        env: { ...BASE_ENV, ...table.env },
        files: {},
      };
    },
    ...readerOf(format),
  };
}

function readerOf(agent: TaskAgent | undefined): { createReader?: () => AgentReader } {
  const create = agent?.createReader;
  return create === undefined ? {} : { createReader: create };
}

function commonOf(
  name: string,
  table: AgentTable,
  base: { hosts: EgressRule[]; secrets: AgentSecret[]; memoryMib: number },
): Pick<TaskAgent, "name" | "memoryMib" | "hosts" | "secrets"> {
  const allowed = table.hosts ?? base.hosts;
  return {
    name,
    memoryMib: table.memory === undefined ? base.memoryMib : (readMib(String(table.memory)) ?? base.memoryMib),
    hosts: allowed,
    // A secret that is not bound otherwise goes to whatever the agent may reach.
    secrets:
      table.secrets?.map((secret) =>
        typeof secret === "string" ? { name: secret, hosts: allowed.map(hostOf) } : secret,
      ) ?? base.secrets,
  };
}

function packageOf(table: AgentTable, [program = ""]: string[]): { package?: AgentPackage } {
  const [, name, version] = PACKAGE.exec(table.package ?? "") ?? [];
  if (name === undefined || version === undefined) return {};
  // What is in an npm package is mostly JavaScript; a program that is not does without Node being there.
  return { package: { registry: "npm", name, version, program: table.program ?? program, needsNode: true } };
}

function withDefaults(request: AgentRequest, { model, base_url }: AgentTable): AgentRequest {
  return { ...request, model: request.model ?? model, baseUrl: request.baseUrl ?? base_url };
}

function needed(value: string | undefined, agent: string, what: string): string {
  if (value !== undefined && value !== "") return value;
  throw new FirebreakError("INVALID_ARGUMENT", `${agent} needs a ${what}`);
}

function checkMemory({ memory }: AgentTable, { refuse }: Place): void {
  if (memory !== undefined && !((readMib(String(memory)) ?? 0) > 0))
    throw refuse("memory", `'${memory}' is not ${SIZE_WANTED}`);
}

function checkBaseUrl({ base_url }: AgentTable, { refuse }: Place): void {
  if (base_url === undefined) return;
  const url = URL.canParse(base_url) ? new URL(base_url) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw refuse("base_url", "a URL with http or https is wanted");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw refuse("base_url", "it has no user, password, query or fragment: a key is a secret");
  if (/\/v\d[a-z0-9]*\/?$/.test(url.pathname))
    throw refuse("base_url", `it is without the version's path, '${url.pathname}': each agent puts its own behind`);
}

/** The owner has named the host, which may be in a private network, or this one. */
function rulesOf(base: string | undefined): EgressRule[] | undefined {
  if (base === undefined) return undefined;
  const { hostname, port } = new URL(base);
  return [{ host: hostname, private: true, ...(port === "" ? {} : { ports: port }) }];
}

/** A rule in the form in which secrets name hosts. */
function hostOf(rule: EgressRule): string {
  if (typeof rule === "string") return rule;
  return rule.ports === undefined ? rule.host : `${rule.host}:${rule.ports}`;
}

/** The rule of an allowlist for a URL's host; without a port it is 80 and 443. */
function urlHost(base: string | undefined): string | undefined {
  if (base === undefined) return undefined;
  const { hostname, port } = new URL(base);
  return port === "" ? hostname : `${hostname}:${port}`;
}
