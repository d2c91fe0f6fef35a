import type { EgressPolicy } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { Vm } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { LiveVm } from "./live-vm.ts";
import { networkValues } from "./network-values.ts";
import type { VmParts } from "./parts.ts";
import type { VmRecord } from "./vm-store.ts";

/** A guest that is told of its network may be busy. */
const TELL_DEADLINE_MS = 10_000;

type RunningPoliciesOptions = Pick<VmParts, "store" | "network" | "locks" | "liveVms" | "roster" | "log">;

/** Policies and secrets that change while VMs run. */
export class RunningPolicies {
  readonly #options: RunningPoliciesOptions;

  constructor(options: RunningPoliciesOptions) {
    this.#options = options;
  }

  /** See `VmService.setPolicy`. */
  async set(nameOrId: string, policy: EgressPolicy, secrets: SecretGrant[] | undefined): Promise<Vm> {
    const { store, network, locks, liveVms, roster } = this.#options;
    const { id, secrets: granted } = roster.find(nameOrId);
    network?.check(policy, secrets ?? granted);
    return locks.run(id, async () => {
      const { name, policy: old, secrets: oldSecrets, state } = roster.find(id);
      const live = liveVms.of(id);
      if (live !== undefined && (old.mode === "nat") !== (policy.mode === "nat"))
        throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${name}' gets or loses its network card with a start`, {
          hint: `Stop it first: firebreak vm stop ${name}; then set the policy, and start it.`,
        });
      const record = store.note(id, { policy, ...(secrets === undefined ? {} : { secrets }) }, "policy_changed", {
        from: old.mode,
        to: policy.mode,
        ...(secrets === undefined ? {} : { secrets: secrets.map(({ name }) => name) }),
      });
      if (live === undefined || network === undefined) return roster.view(record);
      await network.enforce(record, liveVms.linkOf(record, live)).catch((error: unknown) => {
        // What is said of it must be what holds.
        const { message: reason } = toFirebreakError(error);
        const kept = { from: policy.mode, to: old.mode, reason };
        store.note(id, { policy: old, secrets: oldSecrets }, "policy_changed", kept);
        throw error;
      });
      // One that stands still is told when it goes on.
      if (state === "running") {
        await this.#tell(record, live);
        await network.ready(id);
      }
      return roster.view(record);
    });
  }

  /** See `VmService.secretChanged`. */
  async secretChanged(secret: string): Promise<void> {
    const { store } = this.#options;
    const users = store.list().filter(({ secrets }) => secrets.some(({ name }) => name === secret));
    for (const { id } of users) await this.#retell(id, "a VM was not told of a secret");
  }

  /** See `VmService.networkChanged`. */
  async networkChanged(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#retell(id, "a VM was not told of its network")));
  }

  async #retell(id: string, failure: string): Promise<void> {
    const { store, liveVms, log } = this.#options;
    const record = store.get(id);
    const live = liveVms.of(id);
    if (live === undefined || record?.state !== "running") return;
    await this.#tell(record, live).catch((error: unknown) =>
      log(failure, { vm: record.name, error: toFirebreakError(error).message }),
    );
  }

  async #tell(record: VmRecord, { client }: LiveVm): Promise<void> {
    const values = await networkValues(this.#options.network, record, record.agent?.features ?? []);
    await client.personalise(values, { deadlineMs: TELL_DEADLINE_MS });
  }
}
