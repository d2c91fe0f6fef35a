import path from "node:path/posix";
import { type EgressPolicy, type EgressRule, NO_NETWORK } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { TaskRequest } from "../contract/task.ts";
import type { VmCreate } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { DEFAULT_WORKSPACE_PATH } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { AgentLaunch, TaskAgent } from "./agents/agent.ts";

const HOME = "/root";
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
  "image" | "memoryMib" | "cpus" | "diskMib" | "network" | "secrets" | "env" | "volumes"
> & { workspace?: WorkspaceSpec };

/** All that a task comes to before it begins: pure, so that what is wrong with it is said before it is queued. */
export interface TaskPlan {
  vm: TaskVm;
  launch: AgentLaunch & { cwd: string };
  /** Absolute path in the VM to content. */
  files: Record<string, Buffer>;
  directories: string[];
  git: GitSource | undefined;
}

export interface PlanContext {
  agent: TaskAgent;
  /** The drive that the agent's program is on. */
  drive: string | undefined;
  hasSecret: (name: string) => boolean;
  baseUrl: string | undefined;
}

/** Throws INVALID_ARGUMENT, AGENT_SECRET_MISSING. */
export function planTask(request: TaskRequest, { agent, drive, hasSecret, baseUrl }: PlanContext): TaskPlan {
  const workspace = request.workspace;
  const workspacePath = workspace === undefined ? undefined : (workspace.guestPath ?? DEFAULT_WORKSPACE_PATH);
  const cwd = request.cwd ?? workspacePath ?? HOME;
  const launch = agent.launch({
    prompt: request.prompt,
    argv: request.argv,
    model: request.model,
    maxTurns: request.maxTurns,
    maxCostUsd: request.maxCostUsd,
    cwd,
    baseUrl,
  });
  const git =
    workspace !== undefined && "git" in workspace
      ? { url: workspace.git, ref: workspace.ref, path: workspacePath as string } // set with it
      : undefined;
  const { image, cpus, diskMib, env } = request;
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
      env,
      network: networkOf(request, agent, baseUrl, git),
      secrets: [...secretsOf(request, agent, baseUrl, hasSecret)],
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
  };
}

/** An agent's own program is on its drive. */
function resolveProgram([program = "", ...args]: string[], agent: TaskAgent): string[] {
  if (agent.package === undefined || program !== agent.package.program) return [program, ...args];
  return [path.join(agentFolder(agent.name), "node_modules/.bin", program), ...args];
}

/** What the request opens, and the agent's model. */
function networkOf(
  { network, agent: name }: TaskRequest,
  agent: TaskAgent,
  baseUrl: string | undefined,
  git: GitSource | undefined,
): EgressPolicy {
  const own: EgressRule[] = baseUrl === undefined ? [...agent.hosts] : [hostRule(baseUrl)];
  if (git !== undefined) own.push(hostRule(git.url));
  if (network === undefined || network.mode === "none") {
    if (network !== undefined && own.length > 0 && agent.hosts.length > 0)
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        `the agent '${name}' has to reach its model, and 'none' lets nothing out`,
        {
          hint: "Without a network of its own a task reaches its agent's model, and nothing else.",
        },
      );
    return own.length === 0 ? NO_NETWORK : { mode: "allowlist", allow: own };
  }
  if (network.mode === "allowlist") return { ...network, allow: [...(network.allow ?? []), ...own] };
  return network;
}

/** A host of this machine or of a private network is one only because somebody has set it. */
function hostRule(url: string): EgressRule {
  const { hostname, port, protocol } = new URL(url);
  const standard: Record<string, string> = { "http:": "80", "https:": "443", "ssh:": "22" };
  return { host: hostname, ports: port === "" ? (standard[protocol] ?? "443") : port };
}

function secretsOf(
  { secrets }: TaskRequest,
  agent: TaskAgent,
  baseUrl: string | undefined,
  hasSecret: (name: string) => boolean,
): SecretGrant[] {
  const own = agent.secrets.filter(({ name }) => !secrets.some((grant) => grant.name === name));
  // Of several that an agent knows, such as a key and a token, one does.
  const there = own.filter(({ name }) => hasSecret(name));
  if (own.length > 0 && there.length === 0 && own.length === agent.secrets.length) {
    const [first] = own as [TaskAgent["secrets"][number]]; // not empty
    throw new FirebreakError("AGENT_SECRET_MISSING", `the vault has no ${own.map(({ name }) => name).join(" or ")}`, {
      hint: `firebreak secret set ${first.name} --host ${first.hosts[0] ?? "HOST"}`,
      details: { secrets: own.map(({ name }) => name) },
    });
  }
  const host = baseUrl === undefined ? undefined : new URL(baseUrl);
  return [
    ...secrets,
    ...there.map(({ name }) => ({
      name,
      ...(host === undefined ? {} : { hosts: [`${host.hostname}:${host.port === "" ? "443" : host.port}`] }),
    })),
  ];
}
