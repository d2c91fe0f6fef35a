import type { DaemonClient } from "../client/daemon-client.ts";
import type { ExecStream } from "../client/exec-stream.ts";

/** A command that runs in a VM, from the caller's end. */
export type GuestExec = Pick<
  ExecStream,
  "output" | "close" | "writeStdin" | "endStdin" | "started" | "exit" | "onStarted"
>;

/** What the tools need of the daemon's API; DaemonClient is one, tests bring their own. */
export interface VmClient
  extends Pick<
    DaemonClient,
    | "vmList"
    | "vmGet"
    | "vmCreate"
    | "vmStart"
    | "vmStop"
    | "vmDelete"
    | "vmPause"
    | "vmResume"
    | "vmSuspend"
    | "vmFork"
    | "snapshotCreate"
    | "snapshotList"
    | "snapshotGet"
    | "snapshotRestore"
    | "snapshotFork"
    | "snapshotDelete"
    | "driveCreate"
    | "driveList"
    | "driveGet"
    | "driveGrow"
    | "driveAttach"
    | "driveDetach"
    | "driveDelete"
    | "volumeCreate"
    | "volumeList"
    | "volumeGet"
    | "volumeDelete"
    | "templateList"
    | "templatePrune"
    | "imageList"
    | "imageGet"
    | "imagePull"
    | "imageBuildFile"
    | "imageTag"
    | "imageDelete"
    | "imagePrune"
    | "fileStat"
    | "fileRead"
    | "fileWrite"
    | "fileDelete"
    | "fileList"
    | "vmLogs"
    | "vmPlan"
    | "confirmationCreate"
    | "confirmationRedeem"
    | "callClaim"
    | "execGet"
    | "status"
    | "doctor"
    | "hostInfo"
    | "prices"
    | "vmUpdate"
    | "vmWait"
    | "vmStats"
    | "eventList"
    | "kernelList"
    | "kernelUse"
    | "kernelBuild"
    | "kernelVerify"
    | "kernelGet"
    | "kernelDelete"
    | "imageBuild"
    | "execList"
    | "execSignal"
    | "execKill"
  > {
  exec(...parameters: Parameters<DaemonClient["exec"]>): Promise<GuestExec>;
  execAttach(...parameters: Parameters<DaemonClient["execAttach"]>): Promise<GuestExec>;
}
