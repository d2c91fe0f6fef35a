import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { type Forward, type ForwardCreateParsed, MAX_FORWARDS_PER_VM } from "../contract/forward.ts";
import type { Vm } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { isLoopback } from "../platform/addresses.ts";
import { Mutex } from "../vms/mutex.ts";
import type { VmService } from "../vms/service.ts";
import { ForwardPort } from "./forward-port.ts";
import type { ForwardRecord, ForwardStore } from "./forward-store.ts";
import { type HeldPort, holdPort } from "./listen.ts";
import { type ForwardStep, planForward } from "./plan.ts";

/** A free port that the kernel chose may belong to a forward whose VM does not run. */
const PORT_ATTEMPTS = 16;

export interface ForwardServiceOptions {
  store: ForwardStore;
  vms: Pick<VmService, "get" | "list" | "use" | "touch" | "delete">;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** How often a port that could not be listened on is tried again, ms. */
  retryMs?: number;
}

/** Ports that are held for a VM that may not be there yet. */
export interface Reservation {
  /** They are the VM's from now on. Throws PORT_IN_USE, VM_NOT_FOUND, FORWARD_LIMIT; then none is. */
  commit(vmId: string): Promise<Forward[]>;
  release(): Promise<void>;
}

/** The port forwards of all VMs: what is in the store is what listens, for as long as the VM can be reached. */
export class ForwardService {
  readonly #options: ForwardServiceOptions;
  readonly #ports = new Map<string, ForwardPort>();
  readonly #lock = new Mutex();
  readonly #retry: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: ForwardServiceOptions) {
    this.#options = options;
    this.#retry = setInterval(() => void this.#retryFailed(), options.retryMs ?? 5_000);
    this.#retry.unref();
  }

  list(nameOrId?: string): Forward[] {
    const vms = nameOrId === undefined ? this.#options.vms.list() : [this.#options.vms.get(nameOrId)];
    const byId = new Map(vms.map((vm) => [vm.id, vm]));
    return this.#options.store.list(nameOrId === undefined ? undefined : vms[0]?.id).flatMap((record) => {
      const vm = byId.get(record.vmId);
      return vm === undefined ? [] : [this.#describe(record, vm)];
    });
  }

  get(id: string): Forward {
    const record = this.#find(id);
    return this.#describe(record, this.#options.vms.get(record.vmId));
  }

  async create(nameOrId: string, request: ForwardCreateParsed): Promise<Forward> {
    const vm = this.#options.vms.get(nameOrId);
    const reservation = await this.reserve([request]);
    const [created] = await reservation.commit(vm.id);
    return created as Forward; // one was asked for
  }

  /** Makes a VM whose ports are held before it is made: one that is not free costs no VM. */
  async publish(requests: readonly ForwardCreateParsed[], create: () => Promise<Vm>): Promise<Vm> {
    const reservation = await this.reserve(requests);
    const vm = await create().catch(async (error: unknown) => {
      await reservation.release();
      throw error;
    });
    try {
      await reservation.commit(vm.id);
      return vm;
    } catch (error) {
      await this.#options.vms.delete(vm.id).catch(() => {});
      throw error;
    }
  }

  /** Throws PORT_IN_USE or HOST_ADDRESS_UNAVAILABLE; then nothing is held. */
  async reserve(requests: readonly ForwardCreateParsed[]): Promise<Reservation> {
    const held: { request: ForwardCreateParsed; port: HeldPort }[] = [];
    const release = async () => void (await Promise.all(held.map(({ port }) => port.close())));
    try {
      for (const request of requests) held.push({ request, port: await this.#hold(request) });
    } catch (error) {
      await release();
      throw error;
    }
    return { commit: (vmId) => this.#commit(vmId, held, release), release };
  }

  async #hold(request: ForwardCreateParsed): Promise<HeldPort> {
    const { hostAddress, hostPort } = request;
    const taken = () => this.#options.store.list().map((record) => record.hostPort);
    const passedOver: HeldPort[] = [];
    try {
      for (let attempt = 0; ; attempt++) {
        const port = await holdPort(hostAddress, hostPort);
        if (hostPort !== 0 || attempt >= PORT_ATTEMPTS || !taken().includes(port.port)) return port;
        // Held meanwhile, so that the kernel chooses another.
        passedOver.push(port);
      }
    } finally {
      for (const port of passedOver) void port.close();
    }
  }

  async #commit(
    vmId: string,
    held: { request: ForwardCreateParsed; port: HeldPort }[],
    release: () => Promise<void>,
  ): Promise<Forward[]> {
    return this.#lock.run(async () => {
      const { store, vms } = this.#options;
      const records: ForwardRecord[] = [];
      try {
        if (store.list(vmId).length + held.length > MAX_FORWARDS_PER_VM)
          throw new FirebreakError("FORWARD_LIMIT", `a VM has at most ${MAX_FORWARDS_PER_VM} forwards`, {
            hint: "Delete one: firebreak forward delete ID",
          });
        for (const { request, port } of held) {
          const record = this.#newRecord(vmId, request, port.port);
          store.insert(record);
          records.push(record);
        }
      } catch (error) {
        for (const record of records) store.remove(record.id);
        await release();
        throw error;
      }
      for (const [index, record] of records.entries()) this.#port(record).adopt((held[index] as (typeof held)[0]).port);
      await this.#settle(records);
      const vm = vms.get(vmId);
      return records.map((record) => this.#describe(record, vm));
    });
  }

  #newRecord(vmId: string, { hostAddress, guestPort }: ForwardCreateParsed, hostPort: number): ForwardRecord {
    const id = `f${randomBytes(4).toString("hex")}`;
    return { id, vmId, hostAddress, hostPort, guestPort, createdAt: new Date().toISOString() };
  }

  async delete(id: string): Promise<ForwardRecord> {
    const record = this.#find(id);
    this.#options.store.remove(record.id);
    await this.#lock.run(() => this.#settle([record]));
    return record;
  }

  /** Listens for all that is in the store; what cannot is told of and tried again. */
  async recover(): Promise<void> {
    const records = this.#options.store.list();
    await this.#lock.run(() => this.#settle(records));
    for (const record of records) {
      const { state, reason } = this.#port(record).describe();
      if (state === "failed") this.#options.log("a forward cannot listen", { forward: record.id, reason });
    }
  }

  /** A VM has changed, or is gone. */
  async vmChanged(vmId: string): Promise<void> {
    // What has changed may be within a transaction yet.
    await setImmediate();
    if (this.#isClosed) return;
    const gone = [...this.#ports.values()].map((port) => port.record).filter((record) => record.vmId === vmId);
    const known = new Map([...gone, ...this.#options.store.list(vmId)].map((record) => [record.id, record]));
    if (known.size === 0) return;
    await this.#lock
      .run(() => this.#settle([...known.values()]))
      .catch((error: unknown) =>
        this.#options.log("a VM's forwards could not follow it", { vmId, error: toFirebreakError(error).message }),
      );
  }

  /** Lets go of all ports and cuts all connections; the next daemon takes them up again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#retry);
    await Promise.all([...this.#ports.values()].map((port) => port.close()));
  }

  async #retryFailed(): Promise<void> {
    const failed = [...this.#ports.values()].filter((port) => port.state === "failed").map((port) => port.record);
    if (failed.length > 0 && !this.#isClosed) await this.#lock.run(() => this.#settle(failed));
  }

  async #settle(records: readonly ForwardRecord[]): Promise<void> {
    if (this.#isClosed) return;
    const states = new Map(this.#options.vms.list().map((vm) => [vm.id, vm.state]));
    await Promise.all(
      records.map(async (record) => {
        const isThere = this.#options.store.get(record.id) !== undefined;
        const vmState = isThere ? states.get(record.vmId) : undefined;
        const port = this.#port(record);
        for (const step of planForward({ vmState, port: port.state })) await this.#do(step, port);
      }),
    );
  }

  async #do(step: ForwardStep, port: ForwardPort): Promise<void> {
    const act: Record<ForwardStep["kind"], () => Promise<unknown> | unknown> = {
      listen: () => port.listen(),
      close: () => port.close(),
      forget: () => this.#ports.delete(port.record.id),
    };
    await act[step.kind]();
  }

  #port(record: ForwardRecord): ForwardPort {
    const known = this.#ports.get(record.id);
    if (known !== undefined) return known;
    const { vms } = this.#options;
    const port = new ForwardPort({
      record,
      connect: (signal) =>
        vms.use(record.vmId, { signal }, ({ client }) => client.connect({ port: record.guestPort }, { signal })),
      onUse: () => vms.touch(record.vmId),
    });
    this.#ports.set(record.id, port);
    return port;
  }

  #find(id: string): ForwardRecord {
    const record = this.#options.store.get(id);
    if (record !== undefined) return record;
    throw new FirebreakError("FORWARD_NOT_FOUND", `there is no forward '${id}'`, {
      hint: "List them: firebreak forward list",
    });
  }

  #describe(record: ForwardRecord, vm: Vm): Forward {
    const { hostAddress, hostPort, guestPort, createdAt } = record;
    const live = this.#port(record).describe();
    return {
      id: record.id,
      vm: { id: vm.id, name: vm.name },
      hostAddress,
      hostPort,
      guestPort,
      ...live,
      ...(live.state === "inactive" ? { reason: `the VM is ${vm.state}` } : {}),
      ...(isLoopback(hostAddress)
        ? {}
        : { warning: `whoever reaches ${hostAddress} port ${hostPort} over the network gets to the VM's port` }),
      createdAt,
    };
  }
}
