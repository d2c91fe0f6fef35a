import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { EgressEvent } from "../contract/egress.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { AgentInfo } from "../contract/routes/task.ts";
import type { SecretGrant } from "../contract/secret.ts";
import { isEnded } from "../contract/task.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readFirebreakToml } from "../gateway/config/firebreak-toml.ts";
import type { Dial } from "../gateway/remote/dial.ts";
import type { SecretFor } from "../gateway/remote/target.ts";
import type { SecretStore } from "../secrets/secret-store.ts";
import { SqliteTaskStore } from "../store/tasks.ts";
import { SqliteDeliveryStore } from "../store/webhooks.ts";
import { AgentDrives, type AgentDrivesOptions } from "../tasks/agent-drives.ts";
import type { TaskAgent } from "../tasks/agents/agent.ts";
import { readAgents } from "../tasks/agents/custom.ts";
import { UserBudgets } from "../tasks/budgets.ts";
import { TaskLogs } from "../tasks/logs.ts";
import { TaskMachines } from "../tasks/machine.ts";
import { PriceTable, readOwnPrices } from "../tasks/prices.ts";
import { ChosenStorage } from "../tasks/results/chosen.ts";
import { LocalStorage } from "../tasks/results/local.ts";
import { TaskService } from "../tasks/service.ts";
import type { TaskSettings } from "../tasks/settings.ts";
import { sweepTasks } from "../tasks/sweep.ts";
import { planTask } from "../tasks/wanted.ts";
import { WebhookSender } from "../tasks/webhooks/sender.ts";
import { toDeliveries } from "../tasks/webhooks/to-deliveries.ts";
import { createRemoteStorage } from "./task-storage.ts";
import { checkWebhooks } from "./webhook-check.ts";
import { createWebhookPost } from "./webhook-post.ts";

export interface TasksOptions extends AgentDrivesOptions {
  /** Logs and files of tasks. */
  folder: string;
  /** firebreak.toml, for agents and prices of the owner's. */
  configFile: string;
  database: DatabaseSync;
  secrets: SecretStore;
  secretFor: SecretFor;
  /** For what the owner of the installation has named, whatever its hosts. Throws SECRET_NOT_FOUND. */
  secretValue: (name: string) => string;
  dial: Dial;
  /** Throws what making a VM with this network and these secrets would. */
  checkAccess: (policy: EgressPolicy, secrets: readonly SecretGrant[]) => void;
  /** What a VM has tried to reach of late, the newest last. */
  triesOf: (vmId: string) => EgressEvent[];
  taskSettings: () => TaskSettings;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The tasks of a daemon, and the agents that they may be given to. */
export function createTasks(options: TasksOptions): {
  tasks: TaskService;
  listAgents: () => Promise<AgentInfo[]>;
  /** Finds again what an earlier daemon has left. */
  recover: () => Promise<void>;
  close: () => Promise<void>;
} {
  const { folder, configFile, database, vms, secrets, secretFor, taskSettings, log } = options;
  const deliveries = new SqliteDeliveryStore(database);
  const webhooks = new WebhookSender({ store: deliveries, post: createWebhookPost(options.dial), secretFor, log });
  const hasSecret = (name: string) => secrets.get(name) !== undefined;
  const store = new SqliteTaskStore(database, toDeliveries);
  const agentDrives = new AgentDrives(options);
  const document = lastGood(() =>
    readFirebreakToml(existsSync(configFile) ? readFileSync(configFile, "utf8") : "", configFile),
  );
  const agentOf = (name: string) => findAgent(readAgents(document()), name);
  const contentFolder = path.join(folder, "files");
  const tasks = new TaskService({
    store,
    sweep: () => sweepTasks({ folder, contentFolder }, store),
    deliveries,
    checkWebhooks: (named, isConfined) => checkWebhooks(named, isConfined, secretFor),
    logs: new TaskLogs(folder),
    machines: new TaskMachines(vms, options.triesOf),
    storage: new ChosenStorage({
      local: new LocalStorage(contentFolder),
      remote: createRemoteStorage({
        settings: () => taskSettings().storage,
        dial: options.dial,
        secretValue: options.secretValue,
      }),
      log,
    }),
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
    budgets: new UserBudgets({ budget: () => taskSettings().budget, usage: (range) => store.usage(range) }),
    hasSecret,
    checkAccess: options.checkAccess,
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
    webhooks.wake();
  };
  tasks.onChange(({ state, request }) => {
    if (isEnded(state) && request.webhooks.length > 0) webhooks.wake();
  });
  const close = async () => {
    await tasks.close();
    await webhooks.close();
  };
  return { tasks, listAgents, recover, close };
}

/** What was read last where it cannot be read now: a file that is being edited holds no task up. Throws when it never could. */
function lastGood<T>(read: () => T): () => T {
  let last: T | undefined;
  return () => {
    try {
      last = read();
    } catch (error) {
      if (last === undefined) throw error;
    }
    return last;
  };
}

/** Throws AGENT_NOT_FOUND. */
function findAgent(agents: readonly TaskAgent[], name: string): TaskAgent {
  const agent = agents.find((each) => each.name === name);
  if (agent !== undefined) return agent;
  throw new FirebreakError("AGENT_NOT_FOUND", `no agent is named '${name}'`, {
    hint: `There are: ${agents.map((each) => each.name).join(", ")}. One more is a table [agents.NAME] of firebreak.toml.`,
  });
}
