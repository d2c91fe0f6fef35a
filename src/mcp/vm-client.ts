import type { ArtifactCalls } from "../client/calls/artifacts.ts";
import type { AuditCalls } from "../client/calls/audit.ts";
import type { ConfirmationCalls } from "../client/calls/confirmations.ts";
import type { DriveCalls } from "../client/calls/drives.ts";
import type { EgressCalls } from "../client/calls/egress.ts";
import type { EventCalls } from "../client/calls/events.ts";
import type { ExecCalls } from "../client/calls/execs.ts";
import type { FileCalls } from "../client/calls/files.ts";
import type { ForwardCalls } from "../client/calls/forwards.ts";
import type { ImageCalls } from "../client/calls/images.ts";
import type { KernelCalls } from "../client/calls/kernels.ts";
import type { NetworkCalls } from "../client/calls/network.ts";
import type { PolicyCalls } from "../client/calls/policies.ts";
import type { SecretCalls } from "../client/calls/secrets.ts";
import type { SnapshotCalls } from "../client/calls/snapshots.ts";
import type { TaskCalls } from "../client/calls/tasks.ts";
import type { TemplateCalls } from "../client/calls/templates.ts";
import type { VmCalls } from "../client/calls/vms.ts";
import type { VolumeCalls } from "../client/calls/volumes.ts";
import type { DaemonClient } from "../client/daemon-client.ts";
import type { ExecStream } from "../client/exec-stream.ts";

/** A command that runs in a VM, from the caller's end. */
export type GuestExec = Pick<
  ExecStream,
  "vmName" | "output" | "close" | "writeStdin" | "endStdin" | "started" | "exit" | "onStarted"
>;

interface GuestExecCalls extends Pick<ExecCalls, "list" | "get" | "signal" | "kill"> {
  start(...parameters: Parameters<ExecCalls["start"]>): Promise<GuestExec>;
  attach(...parameters: Parameters<ExecCalls["attach"]>): Promise<GuestExec>;
}

/** All calls of a noun, whoever answers them. */
type All<Calls> = Pick<Calls, keyof Calls>;

/** What the tools need of the daemon's API; DaemonClient is one, tests bring their own. */
export interface VmClient extends Pick<DaemonClient, "status" | "doctor" | "hostInfo" | "prices" | "callClaim"> {
  artifacts: All<ArtifactCalls>;
  audit: Pick<AuditCalls, "list" | "report">;
  confirmations: All<ConfirmationCalls>;
  drives: Omit<DriveCalls, "createFrom" | "listOf">;
  egress: Pick<EgressCalls, "list">;
  events: Pick<EventCalls, "list">;
  execs: GuestExecCalls;
  files: Pick<FileCalls, "stat" | "list" | "read" | "write" | "delete" | "readArchive">;
  forwards: All<ForwardCalls>;
  images: All<ImageCalls>;
  kernels: All<KernelCalls>;
  network: All<NetworkCalls>;
  policies: All<PolicyCalls>;
  /** Values go past no model. */
  secrets: Pick<SecretCalls, "list" | "get" | "delete">;
  snapshots: All<SnapshotCalls>;
  tasks: All<TaskCalls>;
  templates: All<TemplateCalls>;
  vms: All<VmCalls>;
  volumes: All<VolumeCalls>;
}
