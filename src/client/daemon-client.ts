import type { Readable } from "node:stream";
import type { Artifact, ArtifactCreate } from "../contract/artifact.ts";
import type { CallRequest, Confirmation, ConfirmationRequest, RedeemRequest } from "../contract/call.ts";
import type { DaemonStatus, DoctorCheck, KernelInfo, ShutdownRequest } from "../contract/daemon.ts";
import type { Drive, DriveAttach, DriveContent, DriveCreate, VmDrive, VolumeCreate } from "../contract/drive.ts";
import type { EgressEvent, EgressPage, VmPolicy, VmPolicySet } from "../contract/egress.ts";
import type { EventPage, VmEvent } from "../contract/event.ts";
import type { Forward, ForwardCreate, RunPublish, VmPublish } from "../contract/forward.ts";
import type { HostInfo, Prices } from "../contract/host.ts";
import type {
  ImageBuildFile,
  ImageDeleted,
  ImageImport,
  ImageInfo,
  ImagePrune,
  ImagePruned,
  ImagePull,
  ImageResult,
  RegistryCredentials,
} from "../contract/image.ts";
import { REGISTRY_AUTH_HEADER } from "../contract/image-reference.ts";
import type { ApiKey, CreatedKey, KeyCreate } from "../contract/key.ts";
import type { ListenRequest, ListenStatus } from "../contract/listen.ts";
import type { NatSetup, NatStatus } from "../contract/nat.ts";
import type { ProbeResult } from "../contract/probe.ts";
import type { Secret, SecretSet } from "../contract/secret.ts";
import type { ForkRequest, Snapshot, SnapshotDetails, Template, TemplateCreate } from "../contract/snapshot.ts";
import type { ExecRequest, PlanRequest, Vm, VmPlan, VmStats, VmUpdate, WaitRequest } from "../contract/vm.ts";
import type {
  Workspace,
  WorkspaceBackup,
  WorkspacePull,
  WorkspacePush,
  WorkspaceReport,
  WorkspaceStatus,
} from "../contract/workspace.ts";
import type { ArchiveResult, Directory, ExecInfo, FileStat } from "../guest/protocol.ts";
import { type CallClaim, claimCall } from "./call-claim.ts";
import { type CallOptions, DaemonHttp, readText, signalOf } from "./daemon-http.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ExecStream } from "./exec-stream.ts";
import { SocketEndpoint } from "./socket-endpoint.ts";

export type { CallClaim } from "./call-claim.ts";
export type { CallOptions } from "./daemon-http.ts";

/** The daemon's API, for the CLI, the MCP server and tests. */
export class DaemonClient {
  readonly #http: DaemonHttp;

  /** Of this host's daemon, by its socket's path, or of another one. */
  constructor(daemon: string | Endpoint) {
    this.#http = new DaemonHttp(typeof daemon === "string" ? new SocketEndpoint(daemon) : daemon);
  }

  status(options: CallOptions = {}): Promise<DaemonStatus> {
    return this.#http.json("GET", "/v1/status", options);
  }

  shutdown(request: ShutdownRequest = {}): Promise<{ pid: number }> {
    return this.#http.json("POST", "/v1/shutdown", {}, request);
  }

  /** Answers over TCP too from now on, for callers with an API key. */
  listen(request: ListenRequest): Promise<ListenStatus> {
    return this.#http.json("PUT", "/v1/listen", {}, request);
  }

  async unlisten(): Promise<void> {
    await this.#http.json("DELETE", "/v1/listen");
  }

  async keyList(options: CallOptions = {}): Promise<ApiKey[]> {
    return (await this.#http.json<{ keys: ApiKey[] }>("GET", "/v1/keys", options)).keys;
  }

  keyCreate(request: KeyCreate, options: CallOptions = {}): Promise<CreatedKey> {
    return this.#http.json("POST", "/v1/keys", options, request);
  }

  async keyRevoke(key: string, options: CallOptions = {}): Promise<ApiKey> {
    const path = `/v1/keys/${encodeURIComponent(key)}`;
    return (await this.#http.json<{ revoked: ApiKey }>("DELETE", path, options)).revoked;
  }

  async doctor(options: CallOptions = {}): Promise<DoctorCheck[]> {
    return (await this.#http.json<{ checks: DoctorCheck[] }>("GET", "/v1/doctor", options)).checks;
  }

  /** Removes what no VM owns; what has been removed. */
  async doctorFix(): Promise<string[]> {
    return (await this.#http.json<{ removed: string[] }>("POST", "/v1/doctor/fix")).removed;
  }

  async imageList(options: CallOptions = {}): Promise<ImageInfo[]> {
    return (await this.#http.json<{ images: ImageInfo[] }>("GET", "/v1/images", options)).images;
  }

  imageGet(image: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("GET", imagePath(image), options);
  }

  imageBuild(name: string, force: boolean, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.lines("POST", `${imagePath(name)}/build`, { force }, options);
  }

  /** Fetches an image from a registry; `credentials` are for this request alone. */
  imagePull(
    request: ImagePull,
    credentials: RegistryCredentials | undefined,
    options: CallOptions = {},
  ): Promise<ImageResult> {
    const login = credentials === undefined ? undefined : Buffer.from(JSON.stringify(credentials)).toString("base64");
    return this.#http.lines(
      "POST",
      "/v1/images/pull",
      request,
      options,
      login === undefined ? {} : { [REGISTRY_AUTH_HEADER]: login },
    );
  }

  /** Makes an image of an archive that is sent. */
  imageImport(request: ImageImport, archive: Readable, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.upload("/v1/images/import", request, archive, options);
  }

  /** Builds an image from a build file, in a VM; `context` is a tar that has the file and what it copies. */
  imageBuildFile(request: ImageBuildFile, context: Readable, options: CallOptions = {}): Promise<ImageResult> {
    return this.#http.upload("/v1/images/build", request, context, options);
  }

  imageTag(image: string, name: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("POST", `${imagePath(image)}/tag`, options, { name });
  }

  imageUntag(name: string, options: CallOptions = {}): Promise<ImageInfo> {
    return this.#http.json("POST", `${imagePath(name)}/untag`, options);
  }

  /** `force`: with the templates that were made of it. */
  imageDelete(image: string, force: boolean, options: CallOptions = {}): Promise<ImageDeleted> {
    return this.#http.json("DELETE", imagePath(image), options, undefined, { force });
  }

  imagePrune(request: ImagePrune, options: CallOptions = {}): Promise<ImagePruned> {
    return this.#http.json("POST", "/v1/images/prune", options, request);
  }

  hostInfo(options: CallOptions = {}): Promise<HostInfo> {
    return this.#http.json("GET", "/v1/host", options);
  }

  /** Throws PRICES_NOT_SET. */
  prices(options: CallOptions = {}): Promise<Prices> {
    return this.#http.json("GET", "/v1/prices", options);
  }

  async kernelList(options: CallOptions = {}): Promise<KernelInfo[]> {
    return (await this.#http.json<{ kernels: KernelInfo[] }>("GET", "/v1/kernels", options)).kernels;
  }

  kernelBuild(
    request: { force?: boolean; use?: boolean },
    options: CallOptions = {},
  ): Promise<{ kernel: KernelInfo; isUpToDate: boolean }> {
    return this.#http.lines("POST", "/v1/kernels/build", request, options);
  }

  kernelUse(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.lines("POST", `${kernelPath(id)}/use`, {}, options);
  }

  kernelGet(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.json("GET", kernelPath(id), options);
  }

  kernelDelete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", kernelPath(id), options);
  }

  kernelVerify(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.json("POST", `${kernelPath(id)}/verify`, options);
  }

  confirmationCreate(request: ConfirmationRequest, options: CallOptions = {}): Promise<Confirmation> {
    return this.#http.json("POST", "/v1/confirmations", options, request);
  }

  /** Uses a confirm token up. Throws CONFIRMATION_* when it is not good for the call. */
  async confirmationRedeem(request: RedeemRequest, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", "/v1/confirmations/redeem", options, request);
  }

  /** Claims the call that an idempotency key stands for, or waits for whoever has it. */
  callClaim(request: CallRequest, options: CallOptions = {}): Promise<CallClaim> {
    return claimCall(this.#http, request, options);
  }

  /** `label`: `KEY=VALUE` or `KEY`; all have to hold. */
  async vmList(options: CallOptions & { label?: readonly string[] } = {}): Promise<Vm[]> {
    const { label } = options;
    return (await this.#http.json<{ vms: Vm[] }>("GET", "/v1/vms", options, undefined, { label })).vms;
  }

  vmGet(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("GET", vmPath(vm), options);
  }

  vmCreate(request: VmPublish, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", "/v1/vms", request, options);
  }

  vmStart(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/start`, {}, options);
  }

  vmStop(vm: string, settings: { graceMs?: number; force?: boolean }, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/stop`, settings, options);
  }

  vmDelete(vm: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", vmPath(vm), options);
  }

  /** What would be done to bring a VM to a state; nothing is. */
  vmPlan(vm: string, request: PlanRequest, options: CallOptions = {}): Promise<VmPlan> {
    return this.#http.json("POST", `${vmPath(vm)}/plan`, options, request);
  }

  vmPause(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("POST", `${vmPath(vm)}/pause`, options, {});
  }

  /** Lets a paused VM go on, and brings a suspended one back. */
  vmResume(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("POST", `${vmPath(vm)}/resume`, options, {});
  }

  /** Saves a VM and ends its VMM; whatever is asked of it next brings it back. */
  vmSuspend(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/suspend`, {}, options);
  }

  /** A second VM that goes on where this one stands. */
  vmFork(vm: string, request: ForkRequest, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/fork`, request, options);
  }

  snapshotCreate(vm: string, name: string | undefined, options: CallOptions = {}): Promise<Snapshot> {
    return this.#http.lines("POST", `${vmPath(vm)}/snapshots`, { name }, options);
  }

  async snapshotList(options: CallOptions = {}): Promise<Snapshot[]> {
    return (await this.#http.json<{ snapshots: Snapshot[] }>("GET", "/v1/snapshots", options)).snapshots;
  }

  snapshotGet(snapshot: string, options: CallOptions = {}): Promise<SnapshotDetails> {
    return this.#http.json("GET", snapshotPath(snapshot), options);
  }

  /** The snapshot's VM as it was then; what the VM is now is lost. */
  snapshotRestore(snapshot: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${snapshotPath(snapshot)}/restore`, {}, options);
  }

  snapshotFork(snapshot: string, request: ForkRequest, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${snapshotPath(snapshot)}/fork`, request, options);
  }

  snapshotDelete(snapshot: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", snapshotPath(snapshot), options);
  }

  async driveList(options: CallOptions = {}): Promise<Drive[]> {
    return (await this.#http.json<{ drives: Drive[] }>("GET", "/v1/drives", options)).drives;
  }

  driveGet(drive: string, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("GET", drivePath(drive), options);
  }

  driveCreate(request: DriveCreate, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("POST", "/v1/drives", options, request);
  }

  /** A drive with the bytes of `body`, or with the files of an archive. */
  async driveCreateFrom(
    request: { name: string; sizeMib?: number; content: DriveContent },
    body: Readable,
    options: CallOptions = {},
  ): Promise<Drive> {
    const { name, ...query } = request;
    const contentType = query.content === "tar" ? "application/x-tar" : "application/octet-stream";
    const response = await this.#http.raw("PUT", drivePath(name), { query, body, contentType, ...signalOf(options) });
    return JSON.parse(await readText(response)) as Drive;
  }

  driveGrow(drive: string, sizeMib: number, options: CallOptions = {}): Promise<Drive> {
    return this.#http.lines("POST", `${drivePath(drive)}/grow`, { sizeMib }, options);
  }

  /** What is on it is lost. */
  driveDelete(drive: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", drivePath(drive), options);
  }

  async vmDrives(vm: string, options: CallOptions = {}): Promise<VmDrive[]> {
    return (await this.#http.json<{ drives: VmDrive[] }>("GET", `${vmPath(vm)}/drives`, options)).drives;
  }

  driveAttach(vm: string, request: DriveAttach, options: CallOptions = {}): Promise<VmDrive> {
    return this.#http.lines("POST", `${vmPath(vm)}/drives`, request, options);
  }

  driveDetach(vm: string, drive: string, force: boolean, options: CallOptions = {}): Promise<VmDrive> {
    const path = `${vmPath(vm)}/drives/${encodeURIComponent(drive)}/detach`;
    return this.#http.lines("POST", path, { force }, options);
  }

  async volumeList(options: CallOptions = {}): Promise<Drive[]> {
    return (await this.#http.json<{ volumes: Drive[] }>("GET", "/v1/volumes", options)).volumes;
  }

  volumeGet(volume: string, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("GET", volumePath(volume), options);
  }

  volumeCreate(request: VolumeCreate, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("POST", "/v1/volumes", options, request);
  }

  /** What is on it is lost. */
  volumeDelete(volume: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", volumePath(volume), options);
  }

  async templateList(options: CallOptions = {}): Promise<Template[]> {
    return (await this.#http.json<{ templates: Template[] }>("GET", "/v1/templates", options)).templates;
  }

  /** The template of a kind of VM; made when there is none. */
  templateCreate(kind: TemplateCreate, options: CallOptions = {}): Promise<Template> {
    return this.#http.lines("POST", "/v1/templates", kind, options);
  }

  /** Deletes the templates that are of no use any more, or all. */
  async templatePrune(all: boolean, options: CallOptions = {}): Promise<Template[]> {
    return (await this.#http.json<{ pruned: Template[] }>("POST", "/v1/templates/prune", options, { all })).pruned;
  }

  templateGet(id: string, options: CallOptions = {}): Promise<Template> {
    return this.#http.json("GET", `/v1/templates/${encodeURIComponent(id)}`, options);
  }

  templateDelete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", `/v1/templates/${encodeURIComponent(id)}`, options);
  }

  /** A port of this host behind which a port of the VM is. */
  forwardCreate(vm: string, request: ForwardCreate, options: CallOptions = {}): Promise<Forward> {
    return this.#http.json("POST", `${vmPath(vm)}/forwards`, options, request);
  }

  /** Of one VM, or of all. */
  async forwardList(vm?: string, options: CallOptions = {}): Promise<Forward[]> {
    const path = vm === undefined ? "/v1/forwards" : `${vmPath(vm)}/forwards`;
    return (await this.#http.json<{ forwards: Forward[] }>("GET", path, options)).forwards;
  }

  forwardGet(id: string, options: CallOptions = {}): Promise<Forward> {
    return this.#http.json("GET", forwardPath(id), options);
  }

  forwardDelete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", forwardPath(id), options);
  }

  /** Keeps a file, or a directory as a tar, of a VM. */
  artifactCreate(vm: string, request: ArtifactCreate, options: CallOptions = {}): Promise<Artifact> {
    return this.#http.lines("POST", `${vmPath(vm)}/artifacts`, request, options);
  }

  async artifactList(options: CallOptions = {}): Promise<Artifact[]> {
    return (await this.#http.json<{ artifacts: Artifact[] }>("GET", "/v1/artifacts", options)).artifacts;
  }

  artifactGet(artifact: string, options: CallOptions = {}): Promise<Artifact> {
    return this.#http.json("GET", artifactPath(artifact), options);
  }

  artifactRead(
    artifact: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<Readable> {
    return this.#http.raw("GET", `${artifactPath(artifact)}/content`, { query: range, ...signalOf(options) });
  }

  artifactDelete(artifact: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", artifactPath(artifact), options);
  }

  async workspaceList(options: CallOptions = {}): Promise<Workspace[]> {
    return (await this.#http.json<{ workspaces: Workspace[] }>("GET", "/v1/workspaces", options)).workspaces;
  }

  workspaceGet(vm: string, options: CallOptions = {}): Promise<Workspace> {
    return this.#http.json("GET", `${vmPath(vm)}/workspace`, options);
  }

  /** Copies a host directory into a VM, or what has changed in it since. */
  workspacePush(vm: string, request: WorkspacePush, options: CallOptions = {}): Promise<WorkspaceReport> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/push`, request, options);
  }

  /** Brings what the VM has changed back to the host. */
  workspacePull(vm: string, request: WorkspacePull, options: CallOptions = {}): Promise<WorkspaceReport> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/pull`, request, options);
  }

  workspaceStatus(vm: string, options: CallOptions = {}): Promise<WorkspaceStatus> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/status`, {}, options);
  }

  workspaceDetach(vm: string, options: CallOptions = {}): Promise<{ detached: string; id: string }> {
    return this.#http.json("DELETE", `${vmPath(vm)}/workspace`, options);
  }

  async backupList(options: CallOptions = {}): Promise<WorkspaceBackup[]> {
    return (await this.#http.json<{ backups: WorkspaceBackup[] }>("GET", "/v1/backups", options)).backups;
  }

  backupRestore(id: string, directory: string | undefined, options: CallOptions = {}): Promise<WorkspaceReport> {
    const body = directory === undefined ? {} : { directory };
    return this.#http.lines("POST", `/v1/backups/${encodeURIComponent(id)}/restore`, body, options);
  }

  backupDelete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", `/v1/backups/${encodeURIComponent(id)}`, options);
  }

  vmStats(vm: string, options: CallOptions = {}): Promise<VmStats> {
    return this.#http.json("GET", `${vmPath(vm)}/stats`, options);
  }

  vmUpdate(vm: string, changes: VmUpdate, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("PATCH", vmPath(vm), options, changes);
  }

  /** Resolves when the VM is in one of the states; `vm` is absent when it is no more. */
  vmWait(vm: string, request: WaitRequest, options: CallOptions = {}): Promise<{ state: string; vm?: Vm }> {
    return this.#http.lines("POST", `${vmPath(vm)}/wait`, request, options);
  }

  /** A page of the history of all VMs, or of one. */
  eventList(
    filter: { vm?: string | undefined; after?: number | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<EventPage> {
    return this.#http.json("GET", "/v1/events", options, undefined, filter);
  }

  /** The same from `after` on, and then each event as it comes. */
  async *eventFollow(
    filter: { vm?: string | undefined; after?: number | undefined },
    options: CallOptions = {},
  ): AsyncGenerator<VmEvent> {
    const lines = this.#http.follow<{ event: VmEvent }>("/v1/events", { ...filter, follow: true }, options);
    for await (const { event } of lines) yield event;
  }

  /** What VMs have tried to reach; the newest unless `after` is given. */
  egressList(
    filter: { vm?: string | undefined; after?: number | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<EgressPage> {
    return this.#http.json("GET", "/v1/egress", options, undefined, filter);
  }

  /** Each event as it comes, a connection's twice; `skipped` of them were missed, since they were not taken fast enough. */
  egressFollow(
    filter: { vm?: string | undefined; after?: number | undefined },
    options: CallOptions = {},
  ): AsyncGenerator<{ event: EgressEvent } | { skipped: number }> {
    return this.#http.follow("/v1/egress", { ...filter, follow: true }, options);
  }

  networkStatus(options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("GET", "/v1/network", options);
  }

  networkSetup(request: NatSetup, options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("PUT", "/v1/network", options, request);
  }

  networkTeardown(options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("DELETE", "/v1/network", options);
  }

  vmPolicy(vm: string, options: CallOptions = {}): Promise<VmPolicy> {
    return this.#http.json("GET", `${vmPath(vm)}/policy`, options);
  }

  vmPolicySet(vm: string, policy: VmPolicySet, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("PUT", `${vmPath(vm)}/policy`, options, policy);
  }

  vmProbe(vm: string, options: CallOptions = {}): Promise<ProbeResult> {
    return this.#http.lines("POST", `${vmPath(vm)}/probe`, {}, options);
  }

  async secretList(options: CallOptions = {}): Promise<Secret[]> {
    return (await this.#http.json<{ secrets: Secret[] }>("GET", "/v1/secrets", options)).secrets;
  }

  secretGet(name: string, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("GET", secretPath(name), options);
  }

  secretSet(name: string, request: SecretSet, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("PUT", secretPath(name), options, request);
  }

  secretRotate(name: string, value: string, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("PUT", `${secretPath(name)}/value`, options, { value });
  }

  secretDelete(name: string, force: boolean, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", secretPath(name), options, undefined, { force });
  }

  vmLogs(vm: string, follow: boolean, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", `${vmPath(vm)}/logs`, { query: { follow }, ...signalOf(options) });
  }

  /** Starts a command in a VM; its streams are in the answer. */
  async exec(vm: string, spec: ExecRequest, options: CallOptions = {}): Promise<ExecStream> {
    return this.#http.execStream(this, `${vmPath(vm)}/exec`, spec, options, vm);
  }

  /** Runs a command in a VM made for it. */
  async run(request: RunPublish, options: CallOptions = {}): Promise<ExecStream> {
    return this.#http.execStream(this, "/v1/run", request, options, undefined);
  }

  async execAttach(
    vm: string,
    id: string,
    from: number,
    follow: boolean,
    options: CallOptions = {},
  ): Promise<ExecStream> {
    return this.#http.execStream(
      this,
      `${execPath(vm, id)}/attach?from=${from}&follow=${follow}`,
      undefined,
      options,
      vm,
    );
  }

  async execList(vm: string, options: CallOptions = {}): Promise<ExecInfo[]> {
    return (await this.#http.json<{ execs: ExecInfo[] }>("GET", `${vmPath(vm)}/execs`, options)).execs;
  }

  execGet(vm: string, id: string, options: CallOptions = {}): Promise<ExecInfo> {
    return this.#http.json("GET", execPath(vm, id), options);
  }

  async execSignal(vm: string, id: string, signal: string, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/signal`, options, { signal });
  }

  async execResize(vm: string, id: string, size: { cols: number; rows: number }): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/resize`, {}, size);
  }

  async execKill(vm: string, id: string, graceMs?: number, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/kill`, options, graceMs === undefined ? {} : { graceMs });
  }

  fileStat(vm: string, path: string, options: CallOptions = {}): Promise<FileStat> {
    return this.#http.json("GET", `${vmPath(vm)}/stat`, options, undefined, { path });
  }

  fileList(
    vm: string,
    path: string,
    page: { limit?: number; after?: string } = {},
    options: CallOptions = {},
  ): Promise<Directory> {
    return this.#http.json("GET", `${vmPath(vm)}/dir`, options, undefined, { path, ...page });
  }

  makeDirectory(vm: string, path: string, parents: boolean, options: CallOptions = {}): Promise<FileStat> {
    return this.#http.json("POST", `${vmPath(vm)}/dir`, options, {}, { path, parents });
  }

  async fileMove(vm: string, from: string, to: string, overwrite: boolean, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${vmPath(vm)}/move`, options, { from, to, overwrite });
  }

  async fileDelete(vm: string, path: string, recursive: boolean, options: CallOptions = {}): Promise<void> {
    await this.#http.json("DELETE", `${vmPath(vm)}/file`, options, undefined, { path, recursive });
  }

  async fileRead(
    vm: string,
    path: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<{ stat: FileStat; body: Readable }> {
    const response = await this.#http.raw("GET", `${vmPath(vm)}/file`, {
      query: { path, ...range },
      ...signalOf(options),
    });
    return {
      stat: JSON.parse(decodeURIComponent(String(response.headers["firebreak-stat"]))) as FileStat,
      body: response,
    };
  }

  async fileWrite(
    vm: string,
    path: string,
    body: Readable | string,
    settings: { mode?: string; parents?: boolean } = {},
    options: CallOptions = {},
  ): Promise<FileStat> {
    const response = await this.#http.raw("PUT", `${vmPath(vm)}/file`, {
      query: { path, ...settings },
      body,
      contentType: "application/octet-stream",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as FileStat;
  }

  archiveRead(vm: string, path: string, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", `${vmPath(vm)}/archive`, { query: { path }, ...signalOf(options) });
  }

  async archiveWrite(vm: string, path: string, body: Readable, options: CallOptions = {}): Promise<ArchiveResult> {
    const response = await this.#http.raw("PUT", `${vmPath(vm)}/archive`, {
      query: { path },
      body,
      contentType: "application/x-tar",
      ...signalOf(options),
    });
    return JSON.parse(await readText(response)) as ArchiveResult;
  }
}

function vmPath(vm: string): string {
  return `/v1/vms/${encodeURIComponent(vm)}`;
}

function snapshotPath(snapshot: string): string {
  return `/v1/snapshots/${encodeURIComponent(snapshot)}`;
}

function imagePath(image: string): string {
  return `/v1/images/${encodeURIComponent(image)}`;
}

function drivePath(drive: string): string {
  return `/v1/drives/${encodeURIComponent(drive)}`;
}

function volumePath(volume: string): string {
  return `/v1/volumes/${encodeURIComponent(volume)}`;
}

function forwardPath(id: string): string {
  return `/v1/forwards/${encodeURIComponent(id)}`;
}

function artifactPath(artifact: string): string {
  return `/v1/artifacts/${encodeURIComponent(artifact)}`;
}

function kernelPath(id: string): string {
  return `/v1/kernels/${encodeURIComponent(id)}`;
}

function execPath(vm: string, id: string): string {
  return `${vmPath(vm)}/execs/${encodeURIComponent(id)}`;
}

function secretPath(name: string): string {
  return `/v1/secrets/${encodeURIComponent(name)}`;
}
