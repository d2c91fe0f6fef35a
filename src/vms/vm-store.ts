import type { VmEvent } from "../contract/event.ts";
import type { VmMount } from "../contract/mount.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { ExpiryAction, RestartPolicy, VmOrigin, VmState } from "../contract/vm.ts";
import type { AccelRequest, VmmRecord } from "../vmm/driver.ts";

/** Where a VM's next start takes it from. */
export type StartFrom =
  | { from: "boot" }
  | { from: "template" }
  /** A fork becomes a machine of its own; what is not a fork goes on as the machine that was saved. */
  | { from: "snapshot"; id: string; isFork: boolean }
  | { from: "suspension" };

/** A VM as the store keeps it: what is wanted of it and how its VMM is found again. */
export interface VmRecord {
  id: string;
  name: string;
  state: VmState;
  reason?: string;
  image: string;
  imageDigest: string;
  kernelId: string;
  memoryMib: number;
  cpus: number;
  diskMib: number;
  driver: string;
  accelRequest: AccelRequest;
  accelReason?: string;
  /** The user its VMM runs as where the daemon is root; no two VMs share one. */
  uid: number;
  ephemeral: boolean;
  env: Record<string, string>;
  /** What it may reach. */
  policy: EgressPolicy;
  /** What it may use on its way out. */
  secrets: SecretGrant[];
  /** Host directories and files that it sees live. */
  mounts: VmMount[];
  /** Whose certificate authority opens its TLS; its own, unless it is a fork, whose programs trust their parent's. */
  authority?: string;
  vmm?: VmmRecord;
  startFrom: StartFrom;
  origin: VmOrigin;
  snapshot?: string;
  idleTimeoutMs?: number;
  labels: Record<string, string>;
  restart: RestartPolicy;
  restartCount: number;
  /** It is meant to run: what ends without being asked to is a matter of its restart policy. */
  isWanted: boolean;
  expiresAt?: string;
  onExpiry: ExpiryAction;
  /** What its guest agent can do, noted when it was last asked: a paused one cannot be asked. */
  agent?: { generation: number; features: string[] };
  bootMs?: number;
  createdAt: string;
  startedAt?: string;
}

/** What changes of a VM; `undefined` clears a field. */
export type VmChanges = { [K in keyof Omit<VmRecord, "id">]?: VmRecord[K] | undefined };

/** Where VMs are kept. A write is durable before it returns; a change of state that VM_TRANSITIONS does not have throws INTERNAL. */
export interface VmStore {
  /** A new VM, with the event that tells of it. Throws VM_ALREADY_EXISTS when its name is taken. */
  insert(record: VmRecord, data: Record<string, unknown>): void;
  update(id: string, changes: VmChanges): VmRecord;
  remove(id: string): void;
  get(id: string): VmRecord | undefined;
  /** By name or id. */
  find(nameOrId: string): VmRecord | undefined;
  list(): VmRecord[];
  /** The smallest user id from `base` on that no VM has. */
  freeUid(base: number): number;
  /** A change and the event that tells of it, in one transaction. */
  note(id: string, changes: VmChanges, kind: string, data: Record<string, unknown>): VmRecord;
  /**
   * As `update`, or `note` where there is an event, for what is so whether or not it can be written: that a VMM has ended, or what frees space. Where
   * the disk is full it holds from now on all the same, and is written as soon as there is space; a daemon that dies before that forgets it.
   */
  keep(id: string, changes: VmChanges, event?: { kind: string; data: Record<string, unknown> }): VmRecord;
  addEvent(vmId: string, kind: string, data: Record<string, unknown>): void;
  /** The oldest first: those after `afterId`, at most `limit`; without `afterId`, the newest `limit` of all that are kept. */
  events(filter: EventFilter): VmEvent[];
  /** Calls with each event from now on, once it is durable; returns what ends that. */
  onEvent(listener: (event: VmEvent) => void): () => void;
  /** Calls when a VM has been made, changed or removed, maybe before that is committed; returns what ends that. */
  onChange(listener: (vmId: string) => void): () => void;
}

export interface EventFilter {
  vmId?: string | undefined;
  afterId?: number | undefined;
  limit?: number | undefined;
}
