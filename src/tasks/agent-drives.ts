import { NO_NETWORK } from "../contract/policy.ts";
import { vmCreateSchema } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { installHint } from "../gateway/install/install-hint.ts";
import type { Drives } from "../vms/drives.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { runCommand } from "../vms/run-command.ts";
import type { VmService } from "../vms/service.ts";
import { SharedAttempt } from "../vms/shared-attempt.ts";
import type { AgentPackage, TaskAgent } from "./agents/agent.ts";
import { agentFolder } from "./wanted.ts";

const DRIVE_MIB = 2048;
const BUILD_MEMORY_MIB = 1024;
const INSTALL_TIMEOUT_MS = 60 * 60_000;
const TAIL_LENGTH = 2_000;
/** By which the VMs that install agents are found again. */
export const AGENT_BUILD_LABEL = "firebreak/agent-build";

export interface AgentDrivesOptions {
  vms: VmService;
  drives: Drives;
  /** Which drives are whole; one that is not named is what a daemon left that died. */
  settings: { get(key: string): unknown; set(key: string, value: unknown): void };
  /** Where npm's packages come from here. */
  npmRegistry: () => string | undefined;
}

/** A drive that is made: whose it is, what is put on it, and under which key its being whole is noted. */
interface Installation {
  agent: string;
  program: AgentPackage;
  key: string;
  drive: string;
}

/** Drives with the programs of agents: each version is installed once, in a VM that reaches the registries alone, and tasks have it read-only. */
export class AgentDrives {
  readonly #options: AgentDrivesOptions;
  readonly #attempts = new Map<string, SharedAttempt<string>>();
  /** What each drive's last attempt was: one that was given up has its VM and its drive until it has ended. */
  readonly #ended = new Map<string, Promise<unknown>>();

  constructor(options: AgentDrivesOptions) {
    this.#options = options;
  }

  isThere({ name, package: program }: TaskAgent): boolean {
    return program !== undefined && this.#options.settings.get(keyOf(name, program)) !== undefined;
  }

  /**
   * The name of the drive with an agent's program; undefined when it needs none. Those who ask at once wait for one installation, which is given up
   * when the last of them has given up. Throws AGENT_INSTALL_FAILED, OPERATION_CANCELED.
   */
  async ensure(
    { name, package: program }: TaskAgent,
    options: { signal: AbortSignal; onText: (text: string) => void },
  ): Promise<string | undefined> {
    if (program === undefined) return undefined;
    const key = keyOf(name, program);
    const drive = driveName(name, program);
    const known = this.#options.settings.get(key);
    if (known !== undefined && (await this.#exists(drive, known))) return drive;
    const attempt = this.#attempts.get(key) ?? new SharedAttempt<string>();
    this.#attempts.set(key, attempt);
    const { signal, onText } = options;
    return attempt.join({ signal, onProgress: ({ message }) => onText(message) }, (work) => {
      const making = (async () => {
        await this.#ended.get(key);
        return this.#make({ agent: name, program, key, drive }, work);
      })();
      this.#ended.set(
        key,
        making.catch(() => {}),
      );
      return making;
    });
  }

  /** VMs and drives that a daemon which died was installing with. */
  async recover(): Promise<void> {
    await this.#deleteVms();
  }

  /** Those that install an agent, or any. */
  async #deleteVms(agent?: string): Promise<void> {
    for (const { id, labels } of this.#options.vms.list()) {
      const installs = labels[AGENT_BUILD_LABEL];
      if (installs !== undefined && (agent === undefined || installs === agent))
        await this.#options.vms.delete(id).catch(() => {});
    }
  }

  async #exists(drive: string, id: unknown): Promise<boolean> {
    return this.#options.drives.get(drive).then(
      (found) => found.id === id,
      () => false,
    );
  }

  async #make({ agent, program, key, drive }: Installation, work: WorkOptions): Promise<string> {
    const { vms, drives, settings } = this.#options;
    await drives.delete(drive).catch((error: unknown) => {
      if (toFirebreakError(error).code !== "DRIVE_NOT_FOUND") throw error;
    });
    const { id } = await drives.create({ name: drive, sizeMib: DRIVE_MIB, format: "ext4" });
    const onText = (message: string) => work.onProgress?.({ step: "install", message });
    onText(
      `installing ${program.name}@${program.version}, once for all tasks; where VMs are emulated that takes minutes\n`,
    );
    const folder = agentFolder(agent);
    try {
      const vm = await vms.create(
        vmCreateSchema.parse({
          memoryMib: BUILD_MEMORY_MIB,
          volumes: [{ volume: drive, path: folder }],
          network: { mode: "allowlist", allow: ["registries"] },
          labels: { [AGENT_BUILD_LABEL]: agent },
        }),
        work.signal === undefined ? {} : { signal: work.signal },
      );
      await this.#install({ vm: vm.id, folder, program }, { ...work, onText });
      await vms.setPolicy(vm.id, NO_NETWORK);
      await vms.stop(vm.id, 30_000);
      await vms.delete(vm.id);
      settings.set(key, id);
      return drive;
    } catch (error) {
      await this.#deleteVms(agent);
      await drives.delete(drive).catch(() => {});
      throw error;
    }
  }

  async #install(
    { vm, folder, program }: { vm: string; folder: string; program: AgentPackage },
    { signal, onText }: WorkOptions & { onText: (text: string) => void },
  ): Promise<void> {
    const { vms, npmRegistry } = this.#options;
    const registry = npmRegistry();
    const env = { HOME: "/root", ...(registry === undefined ? {} : { npm_config_registry: registry }) };
    const options: WorkOptions = signal === undefined ? {} : { signal };
    await vms.use(vm, options, async ({ client }) => {
      const run = async (argv: string[], cwd: string) => {
        const { exit, tail } = await runCommand(
          { argv, env, cwd, timeoutMs: INSTALL_TIMEOUT_MS },
          { client, signal, explainLoss: () => vms.explainLoss(vm), tailLength: TAIL_LENGTH, onText },
        );
        if (exit?.exitCode !== 0)
          throw new FirebreakError("AGENT_INSTALL_FAILED", `${program.name} could not be installed: ${tail.trim()}`, {
            hint: installHint(tail),
          });
      };
      const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=http"];
      await run(["npm", "install", "--prefix", folder, ...flags, `${program.name}@${program.version}`], folder);
      if (program.setup !== undefined) await run(["node", program.setup], `${folder}/node_modules/${program.name}`);
    });
  }
}

const keyOf = (agent: string, { name, version }: AgentPackage) => `agent-drive ${agent} ${name}@${version}`;

function driveName(agent: string, { version }: AgentPackage): string {
  return `agent-${agent}-${version.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`.slice(0, 63).replace(/-$/, "");
}
