import type { ExpiryAction } from "../contract/vm.ts";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import { planRestart, type VmEnd } from "./restart.ts";
import { IdTimers } from "./timers.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

/** After a VM could not be dealt with: what is in the way (a full disk, a workspace's conflict) stays for a while. */
const EXPIRY_RETRY_MS = 5 * 60_000;
/** What a guest gets to shut down in when its lifetime is over. */
const EXPIRY_GRACE_MS = 5_000;

export interface LifetimesOptions {
  store: VmStore;
  log: (message: string, fields: Record<string, unknown>) => void;
  restart: (id: string) => Promise<void>;
  stop: (id: string, graceMs: number) => Promise<void>;
  /** Whatever it is doing: one that cannot be suspended is stopped. */
  setAside: (id: string) => Promise<void>;
  delete: (id: string) => Promise<void>;
}

/** Starts VMs again that ended by themselves, and ends those whose time is over. Both are in the store: a new daemon goes on with them. */
export class Lifetimes {
  readonly #options: LifetimesOptions;
  readonly #restarts = new IdTimers();
  readonly #expiries = new IdTimers();

  constructor(options: LifetimesOptions) {
    this.#options = options;
  }

  /** Minds when a VM expires, as its record says now. */
  watch({ id, expiresAt }: VmRecord): void {
    this.#expiries.cancel(id);
    if (expiresAt === undefined) return;
    this.#expiries.set(id, Date.parse(expiresAt) - Date.now(), () => void this.#expire(id));
  }

  /** Does with a VM that has ended by itself what its restart policy says. */
  afterEnd(id: string, end: VmEnd): void {
    const { store } = this.#options;
    const record = store.get(id);
    if (record === undefined) return;
    const plan = planRestart(record, end);
    // Nor does the next daemon begin anew.
    if (plan.kind === "give_up")
      store.keep(id, { isWanted: false }, { kind: "restart_given_up", data: { restarts: record.restartCount } });
    if (plan.kind !== "restart") return;
    const { count, delayMs } = plan;
    store.keep(id, { restartCount: count }, { kind: "restart_scheduled", data: { count, delayMs } });
    this.#restarts.set(id, delayMs, () => void this.#restart(id));
  }

  /** Somebody has seen to the VM. */
  callOffRestart(id: string): void {
    this.#restarts.cancel(id);
  }

  forget(id: string): void {
    this.#restarts.cancel(id);
    this.#expiries.cancel(id);
  }

  close(): void {
    this.#restarts.close();
    this.#expiries.close();
  }

  async #restart(id: string): Promise<void> {
    try {
      await this.#options.restart(id);
    } catch (error) {
      this.#options.log("a VM could not be restarted", { id, error: toFirebreakError(error).message });
      this.afterEnd(id, { isFailure: true, ranMs: 0 });
    }
  }

  /** Its time is over until it has been dealt with: a daemon that dies meanwhile leaves that to the next one. */
  async #expire(id: string): Promise<void> {
    const { store, log } = this.#options;
    const record = store.get(id);
    if (record?.expiresAt === undefined) return;
    const { onExpiry: action, expiresAt } = record;
    try {
      store.keep(id, {}, { kind: "expired", data: { action } });
      await this.#act(id, action);
      // Whoever has given it more time meanwhile means that.
      if (store.get(id)?.expiresAt === expiresAt) store.keep(id, { expiresAt: undefined });
    } catch (error) {
      const reason = toFirebreakError(error).message;
      log("an expired VM could not be dealt with", { vm: record.name, action, reason });
      if (store.get(id) === undefined) return;
      store.keep(id, {}, { kind: "expiry_failed", data: { action, reason } });
      this.#expiries.set(id, EXPIRY_RETRY_MS, () => void this.#expire(id));
    }
  }

  async #act(id: string, action: ExpiryAction): Promise<void> {
    if (action === "delete") await this.#options.delete(id);
    else if (action === "stop") await this.#options.stop(id, EXPIRY_GRACE_MS);
    else await this.#options.setAside(id);
  }
}
