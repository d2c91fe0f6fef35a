import path from "node:path/posix";
import { type EgressPolicy, type EgressRule, NO_NETWORK } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import { MAX_WORD_BYTES, type TaskRequest } from "../contract/task.ts";
import type { VmCreate } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { DEFAULT_WORKSPACE_PATH } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { AgentLaunch, TaskAgent } from "./agents/agent.ts";

const HOME = "/root";
/** Of a command line with its environment, as JSON: a guest takes messages of 1 MiB, with what else is in them, bytes. */
const MAX_LAUNCH_BYTES = 768 * 1024;
/** Where an agent's own drive is in a VM. */
export const agentFolder = (agent: string): string => `/opt/agents/${agent}`;

/** A repository that is cloned in the VM. */
export interface GitSource {
  url: string;
  ref: string;
  path: string;
}

/** What a task's VM is made with. */
export type TaskVm = Pick<
  VmCreate,
  "image" | "memoryMib" | "cpus" | "diskMib" | "driver" | "accel" | "network" | "secrets" | "env" | "volumes"
> & { workspace?: WorkspaceSpec };

/** All that a task comes to before it begins: pure, so that what is wrong with it is said before it is queued. */
export interface TaskPlan {
  vm: TaskVm;
  launch: AgentLaunch & { cwd: string };
  /** Absolute path in the VM to content. */
  files: Record<string, Buffer>;
  directories: string[];
  git: GitSource | undefined;
  /** The directory in the VM that is a copy of one, or of a repository. */
  workspace: string | undefined;
}

export interface PlanContext {
  agent: TaskAgent;
  /** The drive that the agent's program is on. */
  drive: string | undefined;
  hasSecret: (name: string) => boolean;
}

/** Where a task's workspace is in its VM; undefined when it has none. */
export function workspacePathOf({ workspace }: Pick<TaskRequest, "workspace">): string | undefined {
  return workspace === undefined ? undefined : (workspace.guestPath ?? DEFAULT_WORKSPACE_PATH);
}

/** Throws INVALID_ARGUMENT, AGENT_SECRET_MISSING. */
export function planTask(request: TaskRequest, { agent, drive, hasSecret }: PlanContext): TaskPlan {
  const workspace = request.workspace;
  const workspacePath = workspacePathOf(request);
  const cwd = request.cwd ?? workspacePath ?? HOME;
  checkOptions(request, agent);
  const launch = agent.launch({
    prompt: request.prompt,
    argv: request.argv,
    model: request.model,
    maxTurns: request.maxTurns,
    maxCostUsd: request.maxCostUsd,
    cwd,
    baseUrl: undefined,
  });
  const git =
    workspace !== undefined && "git" in workspace
      ? { url: workspace.git, ref: workspace.ref, path: workspacePath as string } // set with it
      : undefined;
  const { image, cpus, diskMib, driver, accel, env } = request;
  checkSize(launch.argv, { ...env, ...launch.env });
  const memoryMib = request.memoryMib ?? (agent.memoryMib > 0 ? agent.memoryMib : undefined);
  const files = Object.fromEntries(
    Object.entries({ ...launch.files, ...request.files }).map(([file, content]) => [
      file,
      typeof content === "string" ? Buffer.from(content) : Buffer.from(content.base64, "base64"),
    ]),
  );
  return {
    vm: {
      ...(image === undefined ? {} : { image }),
      ...(memoryMib === undefined ? {} : { memoryMib }),
      ...(cpus === undefined ? {} : { cpus }),
      ...(diskMib === undefined ? {} : { diskMib }),
      ...(driver === undefined ? {} : { driver }),
      ...(accel === undefined ? {} : { accel }),
      env,
      network: networkOf(request, agent, git),
      secrets: secretsOf(request, agent, hasSecret),
      ...(drive === undefined ? {} : { volumes: [{ volume: drive, path: agentFolder(agent.name), readOnly: true }] }),
      ...(workspace !== undefined && !("git" in workspace) ? { workspace } : {}),
    },
    launch: {
      ...launch,
      argv: resolveProgram(launch.argv, agent),
      env: { HOME, ...launch.env },
      cwd,
    },
    files,
    directories: [...new Set([cwd, request.outputDir])].filter((each) => each !== HOME),
    git,
    workspace: workspacePath,
  };
}

/** What would be of no effect is refused. Throws INVALID_ARGUMENT. */
function checkOptions({ agent: name, model, maxTurns, maxCostUsd }: TaskRequest, agent: TaskAgent): void {
  const refuse = (field: string, why: string, hint: string) => {
    throw new FirebreakError("INVALID_ARGUMENT", `${field}: the agent '${name}' ${why}`, { hint, details: { field } });
  };
  const timeout = "A timeout ends it: firebreak task run --timeout 10m";
  if (maxTurns !== undefined && agent.createReader === undefined)
    refuse("maxTurns", "tells of no turns to be counted", timeout);
  if (maxCostUsd !== undefined && agent.createReader === undefined)
    refuse("maxCostUsd", "tells of no tokens whose cost could be counted", timeout);
  if (model !== undefined && agent.takesNoModel)
    refuse("model", "takes no model", "Leave it out, or name an agent that has one: firebreak agent list");
}

/** What no VM could be asked for is refused before there is one. */
function checkSize(argv: readonly string[], env: Readonly<Record<string, string>>): void {
  const refuse = (what: string) => {
    throw new FirebreakError("INVALID_ARGUMENT", what, {
      hint: "What is long is given in a file: firebreak task run --file PATH",
    });
  };
  for (const word of argv)
    if (Buffer.byteLength(word) > MAX_WORD_BYTES)
      refuse(`a word of the command has more than ${MAX_WORD_BYTES} bytes, which is what Linux takes`);
  for (const [name, value] of Object.entries(env))
    if (Buffer.byteLength(`${name}=${value}`) > MAX_WORD_BYTES)
      refuse(`${name} has more than ${MAX_WORD_BYTES} bytes with its name, which is what Linux takes`);
  if (Buffer.byteLength(JSON.stringify([argv, env])) > MAX_LAUNCH_BYTES)
    refuse(`the command and its environment have more than ${MAX_LAUNCH_BYTES} bytes together, as JSON`);
}

/** An agent's own program is on its drive. */
function resolveProgram([program = "", ...args]: string[], agent: TaskAgent): string[] {
  if (agent.package === undefined || program !== agent.package.program) return [program, ...args];
  return [path.join(agentFolder(agent.name), "node_modules/.bin", program), ...args];
}

/** What the request opens, and the agent's model. */
function networkOf({ network, agent: name }: TaskRequest, agent: TaskAgent, git: GitSource | undefined): EgressPolicy {
  const own: EgressRule[] = [...agent.hosts, ...(git === undefined ? [] : [hostRule(git.url)])];
  if (network?.mode === "none" && agent.hosts.length > 0)
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      `the agent '${name}' has to reach its model, and 'none' lets nothing out`,
      { hint: "Without a network of its own a task reaches its agent's model, and nothing else." },
    );
  if (network === undefined || network.mode === "none")
    return own.length === 0 ? NO_NETWORK : { mode: "allowlist", ...denied(network), allow: own };
  if (network.mode === "nat") return network;
  return { ...network, allow: [...(network.allow ?? []), ...own] };
}

/** What is denied stays so, whatever lets its VM out. */
const denied = (network: EgressPolicy | undefined): Pick<EgressPolicy, "deny"> =>
  network?.deny === undefined ? {} : { deny: network.deny };

function hostRule(url: string): EgressRule {
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname, ports: port === "" ? (protocol === "ssh:" ? "22" : "443") : port };
}

/** Of several that an agent knows, such as a key and a token, one does. */
function secretsOf(
  { secrets, agent: name }: TaskRequest,
  agent: TaskAgent,
  hasSecret: (name: string) => boolean,
): SecretGrant[] {
  const own = agent.secrets.filter(({ hosts }) => hosts.length > 0);
  const isGiven = own.some((secret) => secrets.some((grant) => grant.name === secret.name));
  const there = own.filter((secret) => hasSecret(secret.name));
  if (own.length > 0 && !isGiven && there.length === 0) {
    const names = own.map((secret) => secret.name).join(" or ");
    throw new FirebreakError(
      "AGENT_SECRET_MISSING",
      `the agent '${name}' needs a key of its model, and the vault has no ${names}`,
      {
        hint: `firebreak secret set ${own[0]?.name} --host ${own[0]?.hosts[0]}`,
        details: { secrets: own.map((secret) => secret.name) },
      },
    );
  }
  const added = there.filter((secret) => !secrets.some((grant) => grant.name === secret.name));
  return [...secrets, ...added.map(({ name: secret, hosts }) => ({ name: secret, hosts }))];
}
