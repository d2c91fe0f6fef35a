import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { AgentInfo } from "../contract/routes/task.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { SecretStore } from "../secrets/secret-store.ts";
import { SqliteTaskStore } from "../store/tasks.ts";
import type { TaskAgent } from "../tasks/agents/agent.ts";
import { command } from "../tasks/agents/command.ts";
import { TaskLogs } from "../tasks/logs.ts";
import { TaskMachines } from "../tasks/machine.ts";
import { LocalStorage } from "../tasks/results/local.ts";
import { TaskService } from "../tasks/service.ts";
import type { TaskSettings } from "../tasks/settings.ts";
import { planTask } from "../tasks/wanted.ts";
import type { VmService } from "../vms/service.ts";

export interface TasksOptions {
  /** Logs and files of tasks. */
  folder: string;
  database: DatabaseSync;
  vms: VmService;
  secrets: SecretStore;
  settings: () => TaskSettings;
  log: (message: string, fields: Record<string, unknown>) => void;
}

const AGENTS: readonly TaskAgent[] = [command];

/** The tasks of a daemon. */
export function createTasks({ folder, database, vms, secrets, settings, log }: TasksOptions): TaskService {
  const hasSecret = (name: string) => secrets.get(name) !== undefined;
  const baseUrlOf = () => undefined;
  return new TaskService({
    store: new SqliteTaskStore(database),
    logs: new TaskLogs(folder),
    machines: new TaskMachines(vms),
    storage: new LocalStorage(path.join(folder, "files")),
    workFolder: path.join(folder, "work"),
    agentOf,
    plan: async ({ request }) =>
      planTask(request, { agent: agentOf(request.agent), drive: undefined, hasSecret, baseUrl: baseUrlOf() }),
    costOf: (_tokens, usd) => (usd === undefined ? undefined : { usd, source: "reported" }),
    settings,
    hasSecret,
    baseUrlOf,
    log,
  });
}

/** Throws AGENT_NOT_FOUND. */
function agentOf(name: string): TaskAgent {
  const agent = AGENTS.find((each) => each.name === name);
  if (agent !== undefined) return agent;
  throw new FirebreakError("AGENT_NOT_FOUND", `no agent is named '${name}'`, {
    hint: `There are: ${AGENTS.map((each) => each.name).join(", ")}`,
  });
}

/** The agents that tasks may be given to. */
export function listAgents(secrets: SecretStore): AgentInfo[] {
  return AGENTS.map(({ name, title, package: program, secrets: own, hosts }) => ({
    name,
    title,
    ...(program === undefined ? {} : { version: program.version }),
    secrets: own.map((secret) => ({ name: secret.name, isSet: secrets.get(secret.name) !== undefined })),
    hosts,
  }));
}
