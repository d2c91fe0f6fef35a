import { PassThrough, Readable } from "node:stream";
import type { KernelInfo } from "../../src/contract/daemon.ts";
import type { Forward } from "../../src/contract/forward.ts";
import type { ImageInfo } from "../../src/contract/image.ts";
import type { Snapshot, Template } from "../../src/contract/snapshot.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { CallLedger } from "../../src/daemon/call-ledger.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { ExecExit, FileStat } from "../../src/guest/protocol.ts";
import type { GuestExec, VmClient } from "../../src/mcp/vm-client.ts";
import { CallStore } from "../../src/store/calls.ts";
import { ConfirmationStore } from "../../src/store/confirmations.ts";
import { openDatabase } from "../../src/store/database.ts";
import { createFakeArtifacts } from "./fake-artifacts.ts";
import { createFakeDrives } from "./fake-drive-client.ts";

/** What a fake command writes, one chunk a step. */
export interface FakeRun {
  output?: { type: "stdout" | "stderr"; bytes: Buffer }[];
  exit?: Partial<ExecExit>;
  /** Goes on until it is closed. */
  isEndless?: boolean;
  /** Breaks off with this after its output. */
  failure?: FirebreakError;
}

export interface FakeVmClient extends VmClient {
  files: Map<string, Buffer>;
  vms: Vm[];
  snapshots: Snapshot[];
  forwards: Forward[];
  templates: Template[];
  images: ImageInfo[];
  kernels: KernelInfo[];
  /** What builds were given. */
  contexts: Buffer[];
  /** The clock of confirm tokens. */
  nowMs: number;
  /** Specs of the commands that were run. */
  specs: unknown[];
  closedExecs: number;
  /** Lets the commands that go on end as if by themselves. */
  endExecs: () => void;
  /** Bytes that file writes may carry in all; more is GUEST_DISK_FULL. */
  diskBytes: number;
  /** What each VM has printed; whoever follows it is in `followers`. */
  console: string;
  followers: Set<PassThrough>;
}

const EXIT: ExecExit = {
  exitCode: 0,
  signal: null,
  timedOut: false,
  durationMs: 12,
  userMs: 0,
  systemMs: 0,
  maxRssBytes: 0,
  outputBytes: 0,
  stdinBytes: 0,
};

/** A daemon with VMs in memory, for tests of what talks to it. */
export function createFakeVmClient(names: string[] = ["web"], run: FakeRun = {}): FakeVmClient {
  const database = openDatabase(":memory:");
  const confirmations = new ConfirmationStore(database, () => fake.nowMs);
  const calls = new CallLedger(new CallStore(database));
  const missing = (path: string) => new FirebreakError("FILE_NOT_FOUND", `${path}: no such file or directory`);
  const changeState = async (name: string, state: Vm["state"]) => Object.assign(await fake.vmGet(name), { state });
  const findSnapshot = (name: string) =>
    fake.snapshots.find((snapshot) => snapshot.name === name || snapshot.id === name) ??
    fail(new FirebreakError("SNAPSHOT_NOT_FOUND", `no snapshot is named '${name}'`));
  const running = new Set<() => void>();
  const findForward = (id: string) =>
    fake.forwards.find((forward) => forward.id === id) ??
    fail(new FirebreakError("FORWARD_NOT_FOUND", `there is no forward '${id}'`));
  const findTemplate = (id: string) =>
    fake.templates.find((template) => template.id === id) ??
    fail(new FirebreakError("TEMPLATE_NOT_FOUND", `no template has the id '${id}'`));
  const fake: FakeVmClient = {
    nowMs: Date.now(),
    kernels: [fakeKernel("stock-1", true), fakeKernel("built-1", false)],
    ...createFakeDrives((name) => fake.vmGet(name)),
    ...createFakeArtifacts((path) => fake.files.get(path) ?? fail(missing(path))),
    files: new Map(),
    vms: names.map(fakeVm),
    snapshots: [],
    forwards: [],
    templates: [fakeTemplate("a", false), fakeTemplate("b", true)],
    images: [fakeImage("debian")],
    contexts: [],
    specs: [],
    closedExecs: 0,
    endExecs: () => {
      for (const end of running) end();
    },
    diskBytes: Number.POSITIVE_INFINITY,
    console: "booted\n",
    followers: new Set(),
    vmList: async () => fake.vms,
    vmGet: async (name) => {
      const vm = fake.vms.find((candidate) => candidate.name === name || candidate.id === name);
      if (vm === undefined) throw new FirebreakError("VM_NOT_FOUND", `no VM is named '${name}'`);
      return vm;
    },
    vmCreate: async (request, options) => {
      options?.onProgress?.({ step: "boot", message: "booting" });
      fake.vms.push(fakeVm(request.name ?? "made-up"));
      return fake.vms.at(-1) as Vm;
    },
    vmStart: (name) => fake.vmGet(name),
    vmStop: (name) => fake.vmGet(name),
    vmDelete: async (name) => {
      const vm = await fake.vmGet(name);
      fake.vms = fake.vms.filter((other) => other !== vm);
      return { deleted: vm.name, id: vm.id };
    },
    vmPause: (name) => changeState(name, "paused"),
    vmResume: (name) => changeState(name, "running"),
    vmSuspend: (name) => changeState(name, "suspended"),
    vmPlan: async (name, { state }) => ({
      vm: await fake.vmGet(name),
      steps: state === "absent" ? [{ kind: "end_vmm" }, { kind: "remove_files" }] : [{ kind: "mark", state }],
    }),
    confirmationCreate: async (request) => confirmations.create(request),
    confirmationRedeem: async (request) => confirmations.redeem(request),
    callClaim: async (request, options) => {
      const claim = await calls.claim(request, options?.signal ?? new AbortController().signal, () => {});
      if ("answer" in claim) return claim;
      return {
        call: {
          finish: async (answer) => calls.finish(claim.id, answer),
          release: async () => calls.release(claim.id),
        },
      };
    },
    vmFork: async (name, request) => {
      await fake.vmGet(name);
      return fake.vmCreate(request);
    },
    snapshotCreate: async (name, wanted) => {
      const snapshot = fakeSnapshot(await fake.vmGet(name), wanted ?? "made-up");
      fake.snapshots.push(snapshot);
      return snapshot;
    },
    snapshotList: async () => fake.snapshots,
    snapshotGet: async (name) => ({ ...findSnapshot(name), ancestors: fake.snapshots.slice(0, -1) }),
    snapshotRestore: async (name) => fake.vmGet(findSnapshot(name).vm.name),
    snapshotFork: async (name, request) => {
      findSnapshot(name);
      return fake.vmCreate(request);
    },
    snapshotDelete: async (name) => {
      const snapshot = findSnapshot(name);
      fake.snapshots = fake.snapshots.filter((other) => other !== snapshot);
      return { deleted: snapshot.name, id: snapshot.id };
    },
    imageList: async () => fake.images,
    imageGet: async (name) =>
      fake.images.find((image) => image.tags.includes(name) || image.digest === name) ??
      fail(new FirebreakError("IMAGE_NOT_FOUND", `no image is called ${JSON.stringify(name)}`)),
    imagePull: async ({ reference, name = reference }) => {
      const source = { reference, digest: `sha256:${"0".repeat(64)}` };
      const image = { ...fakeImage(name), recipe: "pull", source };
      fake.images.push(image);
      return { image, isUpToDate: false, warnings: ["something is left out"] };
    },
    imageBuildFile: async ({ name }, context) => {
      for await (const chunk of context as AsyncIterable<Buffer>) fake.contexts.push(chunk);
      const image = { ...fakeImage(name), recipe: "build" };
      fake.images.push(image);
      return { image, isUpToDate: false, warnings: [] };
    },
    imageImport: async ({ name = "imported" }, archive) => {
      for await (const chunk of archive as AsyncIterable<Buffer>) fake.contexts.push(chunk);
      const image = { ...fakeImage(name), recipe: "import" };
      fake.images.push(image);
      return { image, isUpToDate: false, warnings: [] };
    },
    imageUntag: async (name) => {
      const image = await fake.imageGet(name);
      image.tags = image.tags.filter((tag) => tag !== name);
      return image;
    },
    imageTag: async (name, tag) => {
      const image = await fake.imageGet(name);
      image.tags.push(tag);
      return image;
    },
    imageDelete: async (name, force) => {
      const image = await fake.imageGet(name);
      if (image.usedBy.length > 0 && !force) throw new FirebreakError("IMAGE_IN_USE", `the image ${name} is in use`);
      fake.images = fake.images.filter((candidate) => candidate !== image);
      return toDeleted(image);
    },
    imagePrune: async ({ all = false, dryRun = false }) => {
      const images = fake.images.filter((image) => all || image.tags.length === 0);
      if (!dryRun) fake.images = fake.images.filter((image) => !images.includes(image));
      return { images: images.map(toDeleted), freedBytes: 1000 * images.length, isDryRun: dryRun };
    },
    forwardCreate: async (name, request) => {
      const { id, name: vm } = await fake.vmGet(name);
      const forward: Forward = {
        id: `f${fake.forwards.length}`,
        vm: { id, name: vm },
        hostAddress: request.hostAddress ?? "127.0.0.1",
        hostPort: request.hostPort || 40_000,
        guestPort: request.guestPort,
        state: "listening",
        connections: { open: 0, total: 0, refused: 0 },
        bytes: { toGuest: 0, fromGuest: 0 },
        createdAt: "2026-01-01T00:00:00.000Z",
      };
      fake.forwards.push(forward);
      return forward;
    },
    forwardList: async () => fake.forwards,
    forwardGet: async (id) => findForward(id),
    forwardDelete: async (id) => {
      const forward = findForward(id);
      fake.forwards = fake.forwards.filter((other) => other !== forward);
      return { deleted: forward.id };
    },
    templateList: async () => fake.templates,
    templateCreate: async ({ memoryMib = 512 }) => {
      const made = { ...(fake.templates[0] as Template), id: "c", memoryMib };
      fake.templates.push(made);
      return made;
    },
    templateGet: async (id) => findTemplate(id),
    templateDelete: async (id) => {
      const template = findTemplate(id);
      fake.templates = fake.templates.filter((other) => other !== template);
      return { deleted: id };
    },
    templatePrune: async (all) => {
      const pruned = fake.templates.filter((template) => all || template.isStale);
      fake.templates = fake.templates.filter((template) => !pruned.includes(template));
      return pruned;
    },
    exec: async (vm, spec) => {
      const { name } = await fake.vmGet(vm);
      fake.specs.push(spec);
      const onClose = () => {
        fake.closedExecs++;
      };
      return Object.assign(createFakeExec(run, onClose, running), { vmName: name });
    },
    execAttach: async () => createFakeExec(run, () => {}, running),
    execList: async (vm) => [await fake.execGet(vm, "exec-1")],
    execGet: async (vm, id) => {
      await fake.vmGet(vm);
      if (id !== "exec-1") throw new FirebreakError("EXEC_NOT_FOUND", `no exec has the id '${id}'`);
      const outputBytes = (run.output ?? []).reduce((sum, { bytes }) => sum + bytes.length, 0);
      const end = {
        state: run.isEndless ? "running" : "exited",
        exit: run.isEndless ? null : { ...EXIT, ...run.exit },
      } as const;
      return { id, argv: ["sh", "-c", "x"], pid: 42, startedAtMs: 0, outputBytes, spooledFrom: 0, tty: false, ...end };
    },
    status: async () => ({
      version: "0",
      apiVersion: 2,
      pid: 1,
      startedAt: new Date(0).toISOString(),
      home: "/h",
      socket: "/h/s",
      vms: { total: fake.vms.length, running: fake.vms.length },
      rssBytes: 1,
    }),
    doctor: async () => [
      { name: "qemu", ok: true, message: "QEMU 7" },
      { name: "skopeo", ok: false, optional: true, message: "missing", hint: "apt-get install skopeo" },
    ],
    hostInfo: async () => ({
      version: "0",
      arch: "x64",
      kernel: "6.1",
      cpus: 2,
      cpuModel: "cpu",
      load1: 0,
      memory: { totalBytes: 2, availableBytes: 1 },
      disk: { totalBytes: 2, availableBytes: 1 },
      driver: "fake",
      vms: { total: fake.vms.length, running: fake.vms.length },
    }),
    prices: async () => ({ currency: "EUR", cpu_hour: 0.5, gib_hour: 0.25, disk_gib_hour: 0.125 }),
    vmPolicy: async (name) => {
      const vm = await fake.vmGet(name);
      return { vm: vm.name, policy: vm.network, secrets: vm.secrets, warnings: [] };
    },
    vmPolicySet: async (name, policy) => Object.assign(await fake.vmGet(name), { network: policy }),
    vmProbe: async (name) => ({ vm: (await fake.vmGet(name)).name, isTight: true, findings: [] }),
    secretList: async () => [],
    secretGet: async (name) => fail(new FirebreakError("SECRET_NOT_FOUND", `there is no secret ${name}`)),
    secretDelete: async (name) => ({ deleted: name }),
    networkStatus: async () => ({ isSetUp: false, nameservers: [], vms: [], drift: [] }),
    networkSetup: async () => ({ isSetUp: true, nameservers: [], vms: [], drift: [] }),
    networkTeardown: async () => ({ isSetUp: false, nameservers: [], vms: [], drift: [] }),
    egressList: async () => ({ events: [], more: false }),
    vmUpdate: async (name, { labels }) => {
      const vm = await fake.vmGet(name);
      const kept = Object.entries({ ...vm.labels, ...labels }).filter(
        (pair): pair is [string, string] => pair[1] !== null,
      );
      return Object.assign(vm, { labels: Object.fromEntries(kept) });
    },
    vmWait: async (name) => {
      const vm = await fake.vmGet(name);
      return { state: vm.state, vm };
    },
    vmStats: async (name) => {
      const { name: vm, state, cpus } = await fake.vmGet(name);
      const drive = { sizeBytes: 100, allocatedBytes: 10 };
      const vmm = { cpuMs: 5, rssBytes: 7 };
      return { vm, state, cpus, at: new Date(0).toISOString(), memoryBytes: 512, drive, vmm };
    },
    eventList: async ({ after = 0 } = {}) => ({
      events: [1, 2]
        .filter((id) => id > after)
        .map((id) => ({ id, at: new Date(0).toISOString(), vmId: "id-web", vm: "web", kind: "started", data: {} })),
      more: false,
    }),
    kernelList: async () => fake.kernels,
    kernelUse: async (id) => {
      for (const kernel of fake.kernels) kernel.isCurrent = kernel.id === id;
      return (
        fake.kernels.find((kernel) => kernel.id === id) ?? fail(new FirebreakError("KERNEL_NOT_FOUND", "no kernel"))
      );
    },
    kernelGet: async (id) =>
      fake.kernels.find((kernel) => kernel.id === id) ?? fail(new FirebreakError("KERNEL_NOT_FOUND", "no kernel")),
    kernelDelete: async (id) => {
      fake.kernels = fake.kernels.filter((kernel) => kernel.id !== id);
      return { deleted: id };
    },
    kernelBuild: async () => ({ kernel: fake.kernels.at(-1) as KernelInfo, isUpToDate: true }),
    kernelVerify: async () => fake.kernels[0] as KernelInfo,
    imageBuild: async (name) => ({ image: fakeImage(name), isUpToDate: false, warnings: [] }),
    execSignal: async () => {},
    execKill: async () => {},
    vmLogs: async (name, isFollowed, options) => {
      await fake.vmGet(name);
      const log = new PassThrough();
      log.write(fake.console);
      if (!isFollowed) log.end();
      else fake.followers.add(log);
      log.once("close", () => fake.followers.delete(log));
      options?.signal?.addEventListener("abort", () => log.destroy(), { once: true });
      return log;
    },
    fileStat: async (_vm, path) => {
      if ([...fake.files.keys()].some((file) => file.startsWith(`${path}/`)))
        return { ...statOf(path, Buffer.alloc(0)), type: "directory" };
      return statOf(path, fake.files.get(path) ?? fail(missing(path)));
    },
    fileRead: async (_vm, path, range = {}) => {
      const bytes = fake.files.get(path) ?? fail(missing(path));
      const end = range.length === undefined ? undefined : (range.offset ?? 0) + range.length;
      const part = bytes.subarray(range.offset ?? 0, end);
      return { stat: statOf(path, bytes), body: Readable.from(part.length === 0 ? [] : [part]) };
    },
    archiveRead: async (_vm, path) => Readable.from([Buffer.from(`archive of ${path}`)]),
    fileWrite: async (_vm, path, body) => {
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of typeof body === "string" ? [Buffer.from(body)] : body) {
        length += (chunk as Buffer).length;
        if (length > fake.diskBytes) throw new FirebreakError("GUEST_DISK_FULL", "no space is left");
        chunks.push(chunk as Buffer);
      }
      fake.files.set(path, Buffer.concat(chunks));
      return statOf(path, Buffer.concat(chunks));
    },
    fileDelete: async (_vm, path) => {
      if (!fake.files.delete(path)) throw missing(path);
    },
    fileList: async (_vm, path, page = {}) => {
      const names = [...fake.files.keys()]
        .filter((file) => file.startsWith(`${path}/`))
        .map((file) => file.slice(path.length + 1));
      const after = names.sort().filter((name) => page.after === undefined || name > page.after);
      const entries = after.slice(0, page.limit).map((name) => {
        const file = `${path}/${name}`;
        return { name, ...statOf(file, fake.files.get(file) as Buffer) };
      });
      return { entries, more: after.length > entries.length };
    },
  };
  return fake;
}

function fail(error: FirebreakError): never {
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

function fakeSnapshot(vm: Vm, name: string): Snapshot {
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

function toDeleted({ name, digest, tags, sizeBytes, usedBy }: ImageInfo) {
  return { deleted: name, digest, tags, templates: usedBy.map(({ id }) => id), freedBytes: sizeBytes };
}

function fakeTemplate(id: string, isStale: boolean): Template {
  return { ...MACHINE, id, sizeBytes: 1000, isStale };
}

function fakeKernel(id: string, isCurrent: boolean): KernelInfo {
  const kind = id.startsWith("stock") ? "stock" : "built";
  const createdAt = new Date(0).toISOString();
  return { id, release: "6.1", kind, isCurrent, sizeBytes: 1000, package: "linux", version: "1", createdAt };
}

function statOf(path: string, bytes: Buffer): FileStat {
  return { path, type: "file", sizeBytes: bytes.length, mode: "0644", uid: 0, gid: 0, mtimeMs: 0 };
}

function createFakeExec(run: FakeRun, onClose: () => void, running: Set<() => void>): GuestExec {
  let isClosed = false;
  let hangUp = () => {};
  const hungUp = new Promise<void>((resolve) => {
    hangUp = resolve;
  });
  const exec: GuestExec = {
    vmName: undefined,
    started: undefined,
    exit: undefined,
    onStarted: () => {},
    writeStdin: async () => {},
    endStdin: () => {},
    close: () => {
      if (!isClosed) onClose();
      isClosed = true;
      hangUp();
    },
    output: async function* () {
      exec.started = { id: "exec-1", pid: 42, offset: 0 };
      exec.onStarted(exec.started);
      for (const output of run.output ?? []) yield output;
      if (run.failure !== undefined) throw run.failure;
      if (run.isEndless) {
        const ended = new Promise<boolean>((resolve) => running.add(() => resolve(true)));
        const isEnded = await Promise.race([ended, hungUp.then(() => false)]);
        if (!isEnded) throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon broke the connection off");
        running.clear();
      }
      exec.exit = { ...EXIT, ...run.exit };
    },
  };
  return exec;
}
