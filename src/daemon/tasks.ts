import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { AgentInfo } from "../contract/routes/task.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readFirebreakToml } from "../gateway/config/firebreak-toml.ts";
import type { SecretStore } from "../secrets/secret-store.ts";
import { SqliteTaskStore } from "../store/tasks.ts";
import { AgentDrives, type AgentDrivesOptions } from "../tasks/agent-drives.ts";
import type { TaskAgent } from "../tasks/agents/agent.ts";
import { readAgents } from "../tasks/agents/custom.ts";
import { TaskLogs } from "../tasks/logs.ts";
import { TaskMachines } from "../tasks/machine.ts";
import { PriceTable, readOwnPrices } from "../tasks/prices.ts";
import { LocalStorage } from "../tasks/results/local.ts";
import { TaskService } from "../tasks/service.ts";
import type { TaskSettings } from "../tasks/settings.ts";
import { planTask } from "../tasks/wanted.ts";

export interface TasksOptions extends AgentDrivesOptions {
  /** Logs and files of tasks. */
  folder: string;
  /** firebreak.toml, for agents and prices of the owner's. */
  configFile: string;
  database: DatabaseSync;
  secrets: SecretStore;
  taskSettings: () => TaskSettings;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The tasks of a daemon, and the agents that they may be given to. */
export function createTasks(options: TasksOptions): {
  tasks: TaskService;
  listAgents: () => Promise<AgentInfo[]>;
  /** Finds again what an earlier daemon has left. */
  recover: () => Promise<void>;
} {
  const { folder, configFile, database, vms, secrets, taskSettings, log } = options;
  const hasSecret = (name: string) => secrets.get(name) !== undefined;
  const store = new SqliteTaskStore(database);
  const agentDrives = new AgentDrives(options);
  const document = () => readFirebreakToml(existsSync(configFile) ? readFileSync(configFile, "utf8") : "", configFile);
  const agentOf = (name: string) => findAgent(readAgents(document()), name);
  const tasks = new TaskService({
    store,
    logs: new TaskLogs(folder),
    machines: new TaskMachines(vms),
    storage: new LocalStorage(path.join(folder, "files")),
    workFolder: path.join(folder, "work"),
    agentOf,
    plan: async ({ id, request }, work) => {
      const agent = agentOf(request.agent);
      return planTask(
        { ...request, files: store.filesOf(id) },
        { agent, drive: await agentDrives.ensure(agent, work), hasSecret },
      );
    },
    costOf: (tokens, reported, model) => {
      if (reported !== undefined) return { usd: reported, source: "reported" };
      const usd = tokens.length === 0 ? undefined : new PriceTable(readOwnPrices(document())).costOf(tokens, model);
      return usd === undefined ? undefined : { usd, source: "prices" };
    },
    settings: taskSettings,
    hasSecret,
    log,
  });
  const listAgents = async () =>
    readAgents(document()).map((agent) => ({
      name: agent.name,
      title: agent.title,
      ...(agent.package === undefined
        ? {}
        : { version: agent.package.version, isInstalled: agentDrives.isThere(agent) }),
      secrets: agent.secrets.map(({ name }) => ({ name, isSet: hasSecret(name) })),
      hosts: agent.hosts.map((rule) => (typeof rule === "string" ? rule : rule.host)),
    }));
  const recover = async () => {
    await agentDrives.recover();
    await tasks.recover();
  };
  return { tasks, listAgents, recover };
}

/** Throws AGENT_NOT_FOUND. */
function findAgent(agents: readonly TaskAgent[], name: string): TaskAgent {
  const agent = agents.find((each) => each.name === name);
  if (agent !== undefined) return agent;
  throw new FirebreakError("AGENT_NOT_FOUND", `no agent is named '${name}'`, {
    hint: `There are: ${agents.map((each) => each.name).join(", ")}. One more is a table [agents.NAME] of firebreak.toml.`,
  });
}
