import { randomBytes } from "node:crypto";
import { MAX_LABELS, type VmCreateParsed, type VmUpdate } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { makeName } from "./names.ts";
import type { ImageRef, KernelRef } from "./ports.ts";
import type { VmChanges, VmRecord, VmStore } from "./vm-store.ts";

/** VMMs of a root daemon run as users from here on: above what Debian, systemd and container runtimes hand out. */
export const FIRST_VM_UID = 961_000_000;

/** What of a record is made up for each new VM. */
type MadeUp = "id" | "name" | "state" | "uid" | "createdAt" | "origin" | "restartCount" | "isWanted";
type Defaulted = "labels" | "restart" | "onExpiry" | "mounts";

/** What decides about a new VM; the rest is made up or has a default. */
export type NewVm = Omit<VmRecord, MadeUp | Defaulted> &
  Partial<Pick<VmRecord, Defaulted>> & { name?: string | undefined };

/** The part of a VM that a request to create it determines. */
export function fromRequest(
  request: VmCreateParsed,
  {
    image,
    kernel,
    driver,
    hasToBoot,
    isEphemeral,
  }: { image: ImageRef; kernel: KernelRef; driver: string; hasToBoot: boolean; isEphemeral: boolean },
): NewVm {
  const { maxLifetimeMs } = request;
  return {
    ...(request.name === undefined ? {} : { name: request.name }),
    image: image.name,
    imageDigest: image.digest,
    kernelId: kernel.kernelId,
    memoryMib: request.memoryMib,
    cpus: request.cpus,
    diskMib: request.diskMib,
    driver,
    accelRequest: request.accel,
    ephemeral: isEphemeral,
    env: { ...image.env, ...request.env },
    policy: request.network,
    secrets: request.secrets,
    mounts: request.mounts,
    startFrom: { from: request.cold || hasToBoot ? "boot" : "template" },
    labels: request.labels,
    restart: request.restart,
    onExpiry: request.onExpiry,
    ...(request.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: request.idleTimeoutMs }),
    ...(maxLifetimeMs === undefined ? {} : { expiresAt: fromNow(maxLifetimeMs) }),
  };
}

/** A record that has not been stored yet, with a user id that no other VM has. */
export function makeVmRecord(given: NewVm, store: VmStore): VmRecord {
  return {
    labels: {},
    mounts: [],
    restart: { policy: "never" },
    onExpiry: "stop",
    ...given,
    restartCount: 0,
    isWanted: true,
    id: randomBytes(6).toString("hex"),
    name: given.name ?? makeName((name) => store.find(name) !== undefined),
    state: "created",
    origin: given.startFrom.from,
    uid: store.freeUid(FIRST_VM_UID),
    createdAt: new Date().toISOString(),
  };
}

/** What an update changes of a VM. Throws INVALID_ARGUMENT on too many labels. */
export function changesOf(record: VmRecord, { labels, maxLifetimeMs, idleTimeoutMs, ...rest }: VmUpdate): VmChanges {
  return {
    ...rest,
    ...(rest.restart === undefined ? {} : { restartCount: 0 }),
    ...(labels === undefined ? {} : { labels: mergeLabels(record.labels, labels) }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs: idleTimeoutMs ?? undefined }),
    ...(maxLifetimeMs === undefined ? {} : { expiresAt: maxLifetimeMs === null ? undefined : fromNow(maxLifetimeMs) }),
  };
}

function fromNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** Labels with the changes in them; null takes one away. */
function mergeLabels(labels: Record<string, string>, changes: Record<string, string | null>): Record<string, string> {
  const merged = Object.entries({ ...labels, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  if (merged.length > MAX_LABELS) throw new FirebreakError("INVALID_ARGUMENT", `labels: at most ${MAX_LABELS} labels`);
  return Object.fromEntries(merged);
}
