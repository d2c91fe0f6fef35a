import type { CallRequest } from "../contract/call.ts";
import type { DaemonStatus, DoctorCheck, ShutdownRequest } from "../contract/daemon.ts";
import type { HostInfo, Prices } from "../contract/host.ts";
import type { ListenRequest, ListenStatus } from "../contract/listen.ts";
import { type CallClaim, claimCall } from "./call-claim.ts";
import { ArtifactCalls } from "./calls/artifacts.ts";
import { AuditCalls } from "./calls/audit.ts";
import { BackupCalls } from "./calls/backups.ts";
import { ConfirmationCalls } from "./calls/confirmations.ts";
import { DriveCalls } from "./calls/drives.ts";
import { EgressCalls } from "./calls/egress.ts";
import { EventCalls } from "./calls/events.ts";
import { ExecCalls } from "./calls/execs.ts";
import { FileCalls } from "./calls/files.ts";
import { ForwardCalls } from "./calls/forwards.ts";
import { ImageCalls } from "./calls/images.ts";
import { KernelCalls } from "./calls/kernels.ts";
import { KeyCalls } from "./calls/keys.ts";
import { NetworkCalls } from "./calls/network.ts";
import { PolicyCalls } from "./calls/policies.ts";
import { SecretCalls } from "./calls/secrets.ts";
import { ServerCalls } from "./calls/servers.ts";
import { SessionCalls } from "./calls/sessions.ts";
import { SnapshotCalls } from "./calls/snapshots.ts";
import { TaskCalls } from "./calls/tasks.ts";
import { TemplateCalls } from "./calls/templates.ts";
import { VmCalls } from "./calls/vms.ts";
import { VolumeCalls } from "./calls/volumes.ts";
import { WorkspaceCalls } from "./calls/workspaces.ts";
import { type CallOptions, DaemonHttp } from "./daemon-http.ts";
import type { Endpoint } from "./endpoint.ts";
import { SocketEndpoint } from "./socket-endpoint.ts";

export type { CallClaim } from "./call-claim.ts";
export type { CallOptions } from "./daemon-http.ts";

/** The daemon's API, for the CLI, the MCP server and tests: a noun each, and what is asked of the daemon itself. */
export class DaemonClient {
  readonly #http: DaemonHttp;
  readonly artifacts: ArtifactCalls;
  readonly audit: AuditCalls;
  readonly backups: BackupCalls;
  readonly confirmations: ConfirmationCalls;
  readonly drives: DriveCalls;
  readonly egress: EgressCalls;
  readonly events: EventCalls;
  readonly execs: ExecCalls;
  readonly files: FileCalls;
  readonly forwards: ForwardCalls;
  readonly images: ImageCalls;
  readonly kernels: KernelCalls;
  readonly keys: KeyCalls;
  readonly sessions: SessionCalls;
  readonly network: NetworkCalls;
  readonly policies: PolicyCalls;
  readonly secrets: SecretCalls;
  readonly servers: ServerCalls;
  readonly snapshots: SnapshotCalls;
  readonly tasks: TaskCalls;
  readonly templates: TemplateCalls;
  readonly vms: VmCalls;
  readonly volumes: VolumeCalls;
  readonly workspaces: WorkspaceCalls;

  /** Of this host's daemon, by its socket's path, or of another one. */
  constructor(daemon: string | Endpoint) {
    const http = new DaemonHttp(typeof daemon === "string" ? new SocketEndpoint(daemon) : daemon);
    this.#http = http;
    this.artifacts = new ArtifactCalls(http);
    this.audit = new AuditCalls(http);
    this.backups = new BackupCalls(http);
    this.confirmations = new ConfirmationCalls(http);
    this.drives = new DriveCalls(http);
    this.egress = new EgressCalls(http);
    this.events = new EventCalls(http);
    this.execs = new ExecCalls(http);
    this.files = new FileCalls(http);
    this.forwards = new ForwardCalls(http);
    this.images = new ImageCalls(http);
    this.kernels = new KernelCalls(http);
    this.keys = new KeyCalls(http);
    this.sessions = new SessionCalls(http);
    this.network = new NetworkCalls(http);
    this.policies = new PolicyCalls(http);
    this.secrets = new SecretCalls(http);
    this.servers = new ServerCalls(http);
    this.snapshots = new SnapshotCalls(http);
    this.tasks = new TaskCalls(http);
    this.templates = new TemplateCalls(http);
    this.vms = new VmCalls(http);
    this.volumes = new VolumeCalls(http);
    this.workspaces = new WorkspaceCalls(http);
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

  async doctor(options: CallOptions = {}): Promise<DoctorCheck[]> {
    return (await this.#http.json<{ checks: DoctorCheck[] }>("GET", "/v1/doctor", options)).checks;
  }

  /** Removes what no VM owns; what has been removed. */
  async doctorFix(): Promise<string[]> {
    return (await this.#http.json<{ removed: string[] }>("POST", "/v1/doctor/fix")).removed;
  }

  hostInfo(options: CallOptions = {}): Promise<HostInfo> {
    return this.#http.json("GET", "/v1/host", options);
  }

  /** Throws PRICES_NOT_SET. */
  prices(options: CallOptions = {}): Promise<Prices> {
    return this.#http.json("GET", "/v1/prices", options);
  }

  /** Claims the call that an idempotency key stands for, or waits for whoever has it. */
  callClaim(request: CallRequest, options: CallOptions = {}): Promise<CallClaim> {
    return claimCall(this.#http, request, options);
  }
}
