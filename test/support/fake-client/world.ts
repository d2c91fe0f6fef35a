import type { PassThrough } from "node:stream";
import type { AuditReport } from "../../../src/contract/audit.ts";
import type { KernelInfo } from "../../../src/contract/daemon.ts";
import type { Drive } from "../../../src/contract/drive.ts";
import type { Forward } from "../../../src/contract/forward.ts";
import type { ImageInfo } from "../../../src/contract/image.ts";
import type { Snapshot, Template } from "../../../src/contract/snapshot.ts";
import type { Vm } from "../../../src/contract/vm.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";

/** What a daemon in memory has, and what has been asked of it. Tests look at it and change it. */
export interface FakeWorld {
  vms: Vm[];
  snapshots: Snapshot[];
  forwards: Forward[];
  templates: Template[];
  images: ImageInfo[];
  /** Names of images that are being built or fetched. */
  making: string[];
  kernels: KernelInfo[];
  /** What the audit log was told of. */
  reports: AuditReport[];
  drives: Drive[];
  /** Of all VMs, by their path. */
  files: Map<string, Buffer>;
  /** Bytes that file writes may carry in all; more is GUEST_DISK_FULL. */
  diskBytes: number;
  /** What builds were given. */
  contexts: Buffer[];
  /** Specs of the commands that were run. */
  specs: unknown[];
  closedExecs: number;
  /** Lets the commands that go on end as if by themselves. */
  endExecs: () => void;
  /** What each VM has printed; whoever follows it is in `followers`. */
  console: string;
  followers: Set<PassThrough>;
  /** The clock of confirm tokens. */
  nowMs: number;
}

export function createWorld(names: string[]): FakeWorld {
  return {
    vms: names.map(fakeVm),
    snapshots: [],
    forwards: [],
    templates: [fakeTemplate("a", false), fakeTemplate("b", true)],
    images: [fakeImage("debian")],
    making: [],
    kernels: [fakeKernel("stock-1", true), fakeKernel("built-1", false)],
    reports: [],
    drives: [],
    files: new Map(),
    diskBytes: Number.POSITIVE_INFINITY,
    contexts: [],
    specs: [],
    closedExecs: 0,
    endExecs: () => {},
    console: "booted\n",
    followers: new Set(),
    nowMs: Date.now(),
  };
}

/** The VM of a name or id; throws VM_NOT_FOUND. */
export function findVm(world: FakeWorld, name: string): Vm {
  const vm = world.vms.find((candidate) => candidate.name === name || candidate.id === name);
  return vm ?? fail(new FirebreakError("VM_NOT_FOUND", `no VM is named '${name}'`));
}

/** A new VM of the world's. */
export function addVm(world: FakeWorld, name = "made-up"): Vm {
  const vm = fakeVm(name);
  world.vms.push(vm);
  return vm;
}

/** What follows `??` where nothing was found. */
export function fail(error: FirebreakError): never {
  throw error;
}

function fakeVm(name: string): Vm {
  return {
    id: `id-${name}`,
    name,
    state: "running",
    image: "debian",
    imageDigest: "0".repeat(64),
    kernelId: "debian-1",
    memoryMib: 512,
    cpus: 1,
    diskMib: 2048,
    driver: "fake",
    origin: "template",
    labels: {},
    network: { mode: "none" },
    secrets: [],
    mounts: [],
    drives: [],
    restart: { policy: "never" },
    restartCount: 0,
    onExpiry: "stop",
    ephemeral: false,
    createdAt: new Date(0).toISOString(),
  };
}

const MACHINE = {
  image: "debian",
  imageDigest: "0".repeat(64),
  kernelId: "k",
  memoryMib: 512,
  cpus: 1,
  diskMib: 2048,
  driver: "fake",
  driverVersion: "1.0.0",
  accel: "tcg",
  createdAt: new Date(0).toISOString(),
} as const;

export function fakeSnapshot(vm: Vm, name: string): Snapshot {
  const { id } = vm;
  const policy = { mode: "none" } as const;
  return { ...MACHINE, id: `id-${name}`, name, vm: { id, name: vm.name }, policy, sizeBytes: 1000, stoppedMs: 7 };
}

export function fakeImage(name: string): ImageInfo {
  return {
    name,
    tags: [name],
    digest: `sha256:${Buffer.from(name).toString("hex").padEnd(64, "0").slice(0, 64)}`,
    sizeBytes: 1000,
    format: "squashfs",
    arch: "amd64",
    createdAt: "2026-01-01T00:00:00.000Z",
    recipe: "debian",
    env: { LANG: "C.UTF-8" },
    config: { entrypoint: ["/bin/tool"], cmd: ["--all"], workingDir: "/srv" },
    usedBy: [{ kind: "template", id: "a", name: "a" }],
  };
}

function fakeTemplate(id: string, isStale: boolean): Template {
  return { ...MACHINE, id, sizeBytes: 1000, isStale };
}

function fakeKernel(id: string, isCurrent: boolean): KernelInfo {
  const kind = id.startsWith("stock") ? "stock" : "built";
  const createdAt = new Date(0).toISOString();
  return { id, release: "6.1", kind, isCurrent, sizeBytes: 1000, package: "linux", version: "1", createdAt };
}
