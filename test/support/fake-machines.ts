import { PassThrough } from "node:stream";
import { serverConfigSchema, type VmServer } from "../../src/contract/server.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { keyOf, type Machines, SERVER_LABEL, SESSION_LABEL } from "../../src/gateway/machine.ts";
import { ManagedServer, type ManagedServerDeps } from "../../src/gateway/server.ts";
import type { ServerRecord, WarmState } from "../../src/gateway/server-store.ts";
import { vmServer } from "./mcp-servers/fixture-server.ts";

/** VMs of servers in memory. What runs in them never says anything; or fails at its start, as `failing` says. */
export class FakeMachines {
  readonly made = { builds: 0, forks: 0 };
  readonly running = new Map<string, Vm>();
  /** What the next start of a server fails with. */
  failing: Error | undefined = new FirebreakError("SERVER_FAILED", "the server 'fake' has ended with code 1");
  /** Each build waits for it. */
  gate: Promise<void> = Promise.resolve();
  packages: { name: string; version: string }[] = [];

  readonly vms = {
    list: () => [...this.running.values()],
    setPolicy: async () => {},
    update: (id: string, changes: Partial<Vm>) => {
      const vm = { ...(this.running.get(id) as Vm), ...changes };
      this.running.set(id, vm);
      return vm;
    },
    suspend: async (id: string) => {
      const vm = this.running.get(id) as Vm;
      this.running.set(id, { ...vm, state: "suspended" });
      return vm;
    },
  };

  add(labels: Record<string, string>, state: Vm["state"] = "suspended"): Vm {
    const id = `vm-${this.made.builds + this.made.forks}-${this.running.size}`;
    const vm = { id, name: id, state, labels: { [SERVER_LABEL]: "fake", ...labels } } as unknown as Vm;
    this.running.set(id, vm);
    return vm;
  }

  find = (server: string) => this.vms.list().filter(({ labels }) => labels[SERVER_LABEL] === server);
  isExposed = () => false;
  withoutExposed = () => [];
  placeholdersOf = () => ({});
  checkExposure = () => {};
  hasSnapshot = async () => true;
  forgetSnapshot = async () => {};
  save = async () => "snapshot";
  copyIn = async () => {};
  setNetwork = async () => {};
  copyBack = async () => {};
  launchOf = async () => ({ argv: ["fake"], env: {} });

  build = async (_config: unknown, { signal }: { signal?: AbortSignal } = {}) => {
    this.made.builds++;
    await this.gate;
    signal?.throwIfAborted();
    return { vm: this.add({}, "running"), installed: { argv: ["fake"], packages: this.packages }, warnings: [] };
  };

  fork = async (_snapshot: string, _config: unknown, labels: Record<string, string>) => {
    this.made.forks++;
    await this.gate;
    return this.add(labels, "running");
  };

  client = async () => {
    if (this.failing !== undefined) throw this.failing;
    return { openAttach: async () => new PassThrough(), awaitHead: async () => {} };
  };

  delete = async (id: string) => void this.running.delete(id);

  /** How the VM of each session is. */
  get states(): Record<string, string> {
    return Object.fromEntries(this.vms.list().map(({ labels, state }) => [labels[SESSION_LABEL] ?? "", state]));
  }

  /** Whose VMs there are; the shared one is "". */
  get sessions(): string[] {
    return this.vms.list().map(({ labels }) => labels[SESSION_LABEL] ?? "");
  }
}

/** A server named `fake` on such VMs. */
export function fakeServer(
  machines: FakeMachines,
  changes: Partial<VmServer> = {},
  { isSaved = false, ...deps }: Partial<ManagedServerDeps> & { isSaved?: boolean } = {},
): ManagedServer {
  const config = serverConfigSchema.parse(vmServer("fake", "", changes)) as VmServer;
  const record: ServerRecord = { config, source: "test", createdAt: "", ...(isSaved ? { warm: warmOf(config) } : {}) };
  return new ManagedServer(record, {
    machines: machines as unknown as Machines,
    client: { name: "firebreak", version: "0" },
    hooks: { onRequest: async () => ({}), onNotification: () => {}, onLog: () => {} },
    save: () => {},
    isSessionOver: () => false,
    locked: async () => undefined,
    log: () => {},
    ...deps,
  });
}

/** What is known of a server that has been started and saved with such a configuration. */
export function warmOf(config: VmServer): WarmState {
  const { command, image, memoryMib, cpus, diskMib, args, cwd, env, mounts, network, secrets } = config;
  const own = keyOf(keyOf(command, image, memoryMib, cpus, diskMib), args, cwd, env, mounts, network, secrets);
  return {
    key: `${own}-${keyOf({}, false, undefined)}`,
    snapshot: "snapshot",
    execId: "mcp-1",
    offset: 0,
    opening: "initialize",
    terms: {
      era: "legacy",
      protocolVersion: "2025-11-25",
      capabilities: {},
      serverInfo: { name: "fake", version: "1" },
    },
    definitions: { tools: [], prompts: [], resources: [], resourceTemplates: [] },
    at: "2026-01-01T00:00:00.000Z",
  };
}
