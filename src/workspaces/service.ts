import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { HostTree } from "../archive/host-tree.ts";
import { DEFAULT_LIMITS } from "../archive/tar-reader.ts";
import type { Vm } from "../contract/vm.ts";
import type {
  Workspace,
  WorkspaceBackup,
  WorkspacePull,
  WorkspacePush,
  WorkspaceReport,
  WorkspaceSpec,
  WorkspaceStatus,
} from "../contract/workspace.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { Mutex } from "../vms/mutex.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { applyToHost } from "./apply.ts";
import { readArchiveTree } from "./archive-tree.ts";
import { Backups } from "./backups.ts";
import { resolveDirectory } from "./directory.ts";
import { createExcludes } from "./excludes.ts";
import { withholdGitOrders } from "./git-orders.ts";
import { applyToGuest } from "./guest-apply.ts";
import { openGuestArchive } from "./guest-read.ts";
import { readIgnoreFile, scanHost } from "./host-scan.ts";
import { type MergeResult, originOf } from "./merge.ts";
import { type Operation, planOperations } from "./operations.ts";
import {
  copyId,
  newRecord,
  notSynced,
  requireNotApplying,
  tidyGuestPath,
  toWorkspace,
  type WorkspaceVm,
} from "./record.ts";
import { readBackup } from "./restore.ts";
import { describeConflicts, mergeSides, missingGuest, type Sides, toReport } from "./sides.ts";
import { Staging } from "./staging.ts";
import { emptyFolder, findNode, flatten, hasContent, setNode, unflatten, withoutExcluded } from "./tree.ts";
import { type Journal, WorkspaceFiles } from "./workspace-files.ts";
import type { WorkspaceRecord, WorkspaceStore } from "./workspace-store.ts";

/** Reports that are kept of workspaces whose VM is gone. */
const KEPT_ENDED = 20;

export interface WorkspaceServiceOptions {
  /** Folder of all workspaces' files. */
  folder: string;
  backupFolder: string;
  /** Folders of firebreak's own, which no workspace may touch. */
  ownFolders: string[];
  store: WorkspaceStore;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Host directories that are copied into VMs and synced back. */
export class WorkspaceService {
  readonly #options: WorkspaceServiceOptions;
  readonly #store: WorkspaceStore;
  readonly #backups: Backups;
  readonly #locks = new Map<string, Mutex>();
  /** Two VMs may have one directory: only one sync at a time changes directories of the host. */
  readonly #hostLock = new Mutex();

  constructor(options: WorkspaceServiceOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#backups = new Backups(options.backupFolder, options.store);
  }

  list(vms: readonly Vm[]): Workspace[] {
    const byId = new Map(vms.map((vm) => [vm.id, vm]));
    return this.#store.list().map((record) => toWorkspace(record, byId.get(record.vmId)));
  }

  get(vm: Vm): Workspace {
    return toWorkspace(this.#require(vm), vm);
  }

  /** A VM's workspace, and its copies. */
  recordsOf(vmId: string): WorkspaceRecord[] {
    return this.#store.listOf(vmId);
  }

  /** A directory that may be a workspace, canonical. Throws WORKSPACE_DIRECTORY_REFUSED, HOST_PATH_NOT_FOUND. */
  resolve(directory: string): Promise<string> {
    return resolveDirectory(directory, this.#options.ownFolders);
  }

  /** Ties a directory to a VM: pushed when it starts, pulled before it stops. */
  declare(vm: WorkspaceVm, spec: WorkspaceSpec): void {
    this.#store.put({ ...newRecord(vm, spec), isAutomatic: true });
  }

  /**
   * Ties directories to a VM that need not be its workspace, any number of them, as copies: they are synced before it ends as a workspace is. Those of
   * one guest path that are tied already stay what they are.
   */
  declareCopies(vm: WorkspaceVm, specs: readonly WorkspaceSpec[]): void {
    const there = new Set(this.#store.listOf(vm.id).map(({ guestPath }) => guestPath));
    for (const spec of specs) {
      const record = newRecord(vm, spec);
      if (!there.has(record.guestPath))
        this.#store.put({ ...record, id: copyId(vm.id, record.guestPath), isAutomatic: true });
    }
  }

  /** Whether a VM has a workspace that is synced by itself. */
  isAutomatic(vmId: string): boolean {
    return this.#store.listOf(vmId).some(({ isAutomatic, endedAt }) => isAutomatic && endedAt === undefined);
  }

  /**
   * Copies what has changed on the host into the VM. `isDurable`: what counts as common is on the guest's disk by then; after a crash, what was on its
   * way there would look like deleted by the VM.
   */
  async push(
    vm: WorkspaceVm,
    client: GuestClient,
    request: WorkspacePush,
    options: WorkOptions & { isDurable?: boolean },
  ): Promise<WorkspaceReport> {
    return this.#lock(vm.id).run(async () => {
      const { record, isNew } = await this.#recordFor(vm, request);
      requireNotApplying(record);
      // Before anything is done: a daemon that dies knows what the VM's files are.
      if (!request.dryRun && (isNew || request.exclude !== undefined)) this.#store.put(record);
      return this.#withSides(record, client, request, options, undefined, async (sides) => {
        const merged = mergeSides("push", record, sides, request.resolve);
        const operations = planOperations(sides.guest.root, merged.result);
        const report = toReport("push", record, sides, merged, operations, request);
        if (request.dryRun) return report;
        try {
          await this.#applyPush(client, record, sides, merged, operations, options);
        } catch (error) {
          throw this.#noteFailure(vm, "push", error);
        }
        const now = new Date().toISOString();
        this.#store.update(record.id, {
          state: record.readOnly ? "synced" : "open",
          lastPushAt: now,
          report,
          reason: undefined,
        });
        return report;
      });
    });
  }

  async #applyPush(
    client: GuestClient,
    record: WorkspaceRecord,
    { tree, guest }: Sides,
    merged: MergeResult,
    operations: Operation[],
    { signal, onProgress, isDurable }: WorkOptions & { isDurable?: boolean },
  ): Promise<void> {
    const sent = await applyToGuest(client, tree, operations, {
      guestPath: record.guestPath,
      partial: guest.partial,
      sourceOf: (target) => originOf(target, merged.copies),
      ...(signal === undefined ? {} : { signal }),
      onBytes: (bytes) => onProgress?.({ step: "push", message: `copied ${Math.round(bytes / 1024)} KiB into the VM` }),
    });
    if (isDurable) await client.sync(signal === undefined ? {} : { signal });
    for (const [name, file] of sent) if (findNode(merged.base, name) !== undefined) setNode(merged.base, name, file);
    await this.#files(record.id).writeBase(merged.base);
  }

  /** Brings what has changed in the VM back to the host, after a backup of the directory. */
  async pull(
    vm: WorkspaceVm,
    client: GuestClient,
    request: WorkspacePull,
    options: WorkOptions & { isFinal?: boolean },
  ): Promise<WorkspaceReport> {
    return this.#lock(vm.id).run(async () => {
      const record = await this.#pullRecord(vm, request);
      const isElsewhere = this.#store.get(vm.id)?.directory !== record.directory;
      const files = isElsewhere ? this.#files(`${vm.id}.elsewhere`) : this.#files(vm.id);
      if (!isElsewhere && record.state === "applying") await this.#finish(record);
      const staging = request.dryRun ? undefined : files.staging;
      await staging?.reset();
      let isDecided = false;
      try {
        return await this.#withSides(record, client, request, options, staging, async (sides) => {
          const merged = mergeSides("pull", record, sides, request.resolve);
          const operations = planOperations(sides.host.root, merged.result);
          const report = toReport("pull", record, sides, merged, operations, request);
          if (request.dryRun) return report;
          return this.#hostLock.run(async () => {
            options.onProgress?.({
              step: "pull",
              message: `changing ${operations.length} paths of ${record.directory}`,
            });
            if (operations.length > 0) report.backup = await this.#backUp(sides, record, options.signal);
            const journal: Journal = {
              directory: record.directory,
              operations,
              base: flatten(merged.base),
              oldBase: flatten(sides.base),
              report,
              isFinal: options.isFinal ?? false,
            };
            if (isElsewhere) return this.#carryOut(journal, files.staging, sides.tree);
            await files.writeJournal(journal);
            this.#store.update(vm.id, { state: "applying" });
            isDecided = true;
            return this.#complete(record, journal, sides.tree);
          });
        });
      } catch (error) {
        throw isElsewhere || request.dryRun ? toFirebreakError(error) : this.#noteFailure(vm, "pull", error);
      } finally {
        if (isElsewhere) await files.remove();
        else if (!isDecided) await staging?.remove();
      }
    });
  }

  /** What a push and a pull would do now. */
  async status(vm: Vm, client: GuestClient, options: WorkOptions): Promise<WorkspaceStatus> {
    return this.#lock(vm.id).run(async () => {
      const record = this.#require(vm);
      return this.#withSides(record, client, {}, options, undefined, async (sides) => {
        const reportOf = (direction: "push" | "pull") => {
          const merged = mergeSides(direction, record, sides, undefined);
          const from = direction === "push" ? sides.guest.root : sides.host.root;
          const operations = planOperations(from, merged.result);
          return toReport(direction, record, sides, merged, operations, { dryRun: true });
        };
        return { workspace: toWorkspace(record, vm), push: reportOf("push"), pull: reportOf("pull") };
      });
    });
  }

  /** The VM's files stay, here and there; they are not synced any more, nor are those of its copies. */
  async detach(vm: WorkspaceVm): Promise<void> {
    const records = this.#store.listOf(vm.id);
    if (records.length === 0) this.#require(vm);
    for (const { id } of records)
      await this.#lock(id).run(async () => {
        this.#store.remove(id);
        await this.#files(id).remove();
      });
  }

  /** The VM is gone. A report of a VM that nobody can ask any more is kept for a while. */
  async forget(vmId: string, keepsReport: boolean): Promise<void> {
    const records = this.#store.listOf(vmId);
    for (const { id, state } of records) {
      this.#locks.delete(id);
      if (!keepsReport && state !== "applying") this.#store.remove(id);
      else this.#store.update(id, { endedAt: new Date().toISOString() });
      if (state !== "applying") await this.#files(id).remove();
    }
    if (records.length === 0) return;
    const ended = this.#store.list().filter((other) => other.endedAt !== undefined && other.state !== "applying");
    for (const old of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED))) this.#store.remove(old.id);
  }

  /** Throws WORKSPACE_NOT_SYNCED when a VM that cannot be asked holds what has not come back. */
  requireSynced(vm: WorkspaceVm): void {
    for (const record of this.#store.listOf(vm.id)) {
      if (!record.isAutomatic || record.state === "new" || record.state === "synced") continue;
      throw notSynced(vm, record, record.reason ?? "the VM ended before its workspace was pulled");
    }
  }

  listBackups(): WorkspaceBackup[] {
    return this.#backups.list();
  }

  async deleteBackup(id: string): Promise<WorkspaceBackup> {
    const backup = this.#backups.get(id);
    await this.#backups.delete(id);
    return backup;
  }

  /** Makes a directory what it was at a backup, after a backup of what it is now. What syncs do not see stays. */
  async restore(id: string, directory: string | undefined, options: WorkOptions): Promise<WorkspaceReport> {
    const backup = this.#backups.get(id);
    const target = await this.resolve(directory ?? backup.directory);
    const staging = new Staging(path.join(this.#options.folder, `restore-${id}`));
    return this.#hostLock.run(async () => {
      const tree = await HostTree.open(target, { isOnlyWriter: true });
      try {
        await staging.reset();
        const from = { id, archive: this.#backups.read(backup), vmName: backup.vmName ?? "" };
        const { sides, record, operations, report } = await readBackup(from, tree, target, staging, options);
        if (operations.length > 0) report.backup = await this.#backUp(sides, record, options.signal);
        const journal = { directory: target, operations, base: [], oldBase: [], report, isFinal: false };
        return await this.#carryOut(journal, staging, tree);
      } finally {
        await staging.remove();
        await tree.close();
      }
    });
  }

  /** Removes what nobody owns. `cutOff` is the end of what a daemon that died was at: many files take minutes, which a start need not wait for. */
  async recover(): Promise<{ cutOff: Promise<unknown> }> {
    await this.#backups.sweep();
    const records = new Map(this.#store.list().map((record) => [record.id, record]));
    for (const name of await readdir(this.#options.folder).catch(() => [] as string[])) {
      const record = records.get(name);
      const isOfUse = record !== undefined && (record.endedAt === undefined || record.state === "applying");
      if (!isOfUse) await rm(path.join(this.#options.folder, name), { recursive: true, force: true });
      else if (record.state !== "applying") await this.#files(name).clear();
    }
    const applying = [...records.values()].filter(({ state }) => state === "applying");
    // Whoever needs one of these from here on waits for its lock.
    return { cutOff: Promise.all(applying.map((record) => this.#finishCutOff(record))) };
  }

  async #finishCutOff(record: WorkspaceRecord): Promise<void> {
    try {
      await this.#lock(record.id).run(() => this.#finish(record));
      this.#options.log("a sync that was cut off is done", { vm: record.vmName, directory: record.directory });
    } catch (error) {
      const reason = `a sync that was cut off cannot go on: ${toFirebreakError(error).message}`;
      this.#store.update(record.id, { reason });
      this.#options.log(reason, { vm: record.vmName });
    }
  }

  /** Goes on with a plan that is in the workspace's folder. */
  async #finish(record: WorkspaceRecord): Promise<void> {
    const journal = await this.#files(record.id).readJournal();
    if (journal === undefined) return void this.#store.update(record.id, { state: "open" });
    await this.#hostLock.run(async () => {
      const tree = await HostTree.open(journal.directory, { isOnlyWriter: true });
      try {
        await this.#complete(record, journal, tree);
      } finally {
        await tree.close();
      }
    });
  }

  async #complete(record: WorkspaceRecord, journal: Journal, tree: HostTree): Promise<WorkspaceReport> {
    const files = this.#files(record.id);
    const report = await this.#carryOut(journal, files.staging, tree);
    const base = unflatten(journal.base);
    const oldBase = unflatten(journal.oldBase);
    // What somebody else has changed meanwhile has not been synced.
    for (const { path: name } of report.conflicts)
      if (report.resolution === undefined) setNode(base, name, findNode(oldBase, name));
    await files.writeBase(base);
    const isLeftAlone = report.conflicts.length > 0 && report.resolution === undefined;
    const isDone = !isLeftAlone && (journal.isFinal || !record.isAutomatic);
    this.#store.update(record.id, {
      state: isDone ? "synced" : "open",
      lastPullAt: new Date().toISOString(),
      report,
      reason: isLeftAlone ? describeConflicts(report.conflicts.length) : undefined,
    });
    await files.clear();
    return report;
  }

  async #carryOut({ operations, report }: Journal, staging: Staging, tree: HostTree): Promise<WorkspaceReport> {
    // Nobody can call it off from here on: it would be neither the old nor the new directory.
    const changed = await applyToHost(tree, operations, { staging });
    const known = new Set(report.conflicts.map((conflict) => conflict.path));
    for (const name of changed)
      if (!known.has(name)) report.conflicts.push({ path: name, host: "changed", vm: "changed" });
    if (changed.length > 0) delete report.resolution;
    return report;
  }

  /** Where the disk is full there may be no room for the note either: the failure itself counts. */
  #noteFailure(vm: WorkspaceVm, direction: "push" | "pull", thrown: unknown): FirebreakError {
    const error = toFirebreakError(thrown);
    try {
      this.#store.update(vm.id, { reason: `the last ${direction} broke off: ${error.message}` });
    } catch (unnoted) {
      this.#options.log("a failed sync could not be noted", { vm: vm.name, error: toFirebreakError(unnoted).message });
    }
    return error;
  }

  #backUp(sides: Sides, record: WorkspaceRecord, signal: AbortSignal | undefined): Promise<WorkspaceBackup> {
    const about = { directory: sides.directory, ...(record.vmName === "" ? {} : { vmName: record.vmName }) };
    return this.#backups.create(sides.tree, sides.host.root, about, signal);
  }

  /** Looks at both sides; `staging` takes the VM's content that the host does not have. */
  async #withSides<T>(
    record: WorkspaceRecord,
    client: GuestClient,
    request: { maxEntries?: number | undefined; maxBytes?: number | undefined },
    options: WorkOptions,
    staging: Staging | undefined,
    work: (sides: Sides) => Promise<T>,
  ): Promise<T> {
    const { signal, onProgress } = options;
    const limits = {
      maxEntries: request.maxEntries ?? DEFAULT_LIMITS.maxEntries,
      maxBytes: request.maxBytes ?? DEFAULT_LIMITS.maxBytes,
    };
    const { directory, guestPath } = record;
    const tree = await HostTree.open(directory, { isOnlyWriter: true });
    try {
      const isExcluded = createExcludes(record.exclude, await readIgnoreFile(tree));
      const isOwn = this.#store.get(record.id)?.directory === directory;
      const base = withoutExcluded(isOwn ? await this.#files(record.id).readBase() : emptyFolder(), isExcluded);
      onProgress?.({ step: "scan", message: `looking through ${directory}` });
      const host = await scanHost(tree, {
        isExcluded,
        maxEntries: limits.maxEntries,
        ...signalOf(options),
        onCount: (count) => onProgress?.({ step: "scan", message: `looked at ${count} files in ${directory}` }),
      });
      onProgress?.({ step: "read", message: `reading ${guestPath} in the VM` });
      const archive = await openGuestArchive(client, guestPath, signal);
      const isWanted = (name: string, sha256: string) => !hasContent(host.root, name, sha256);
      const guest =
        archive === undefined
          ? missingGuest(record, staging !== undefined)
          : await readArchiveTree(archive, {
              isExcluded,
              limits,
              base,
              isGuests: true,
              ...(staging === undefined ? {} : { staging: { place: staging, isWanted } }),
              ...signalOf(options),
              onCount: (count) => onProgress?.({ step: "read", message: `read ${count} files of the VM` }),
            });
      withholdGitOrders(guest, base, host.root);
      return await work({ directory, tree, isExcluded, host, guest, base });
    } finally {
      await tree.close();
    }
  }

  async #recordFor(vm: WorkspaceVm, request: WorkspacePush): Promise<{ record: WorkspaceRecord; isNew: boolean }> {
    const existing = this.#store.get(vm.id);
    if (existing === undefined) {
      if (request.directory === undefined)
        throw new FirebreakError("WORKSPACE_NOT_FOUND", `the VM '${vm.name}' has no workspace yet`, {
          hint: `Say which directory: firebreak workspace push ${vm.name} DIR`,
        });
      const directory = await this.resolve(request.directory);
      return { record: newRecord(vm, { ...request, directory }), isNew: true };
    }
    const directory = request.directory === undefined ? existing.directory : await this.resolve(request.directory);
    const guestPath = request.guestPath === undefined ? existing.guestPath : tidyGuestPath(request.guestPath);
    if (directory !== existing.directory || guestPath !== existing.guestPath)
      throw new FirebreakError(
        "WORKSPACE_STATE_CONFLICT",
        `the workspace of '${vm.name}' is ${existing.directory} at ${existing.guestPath}`,
        { hint: `To choose another: firebreak workspace detach ${vm.name}` },
      );
    const exclude = request.exclude ?? existing.exclude;
    return { record: { ...existing, exclude, vmName: vm.name }, isNew: false };
  }

  async #pullRecord(vm: WorkspaceVm, request: WorkspacePull): Promise<WorkspaceRecord> {
    const existing = this.#store.get(vm.id);
    const directory = request.directory === undefined ? undefined : await this.resolve(request.directory);
    if (directory === undefined || directory === existing?.directory) {
      const record = this.#require(vm);
      if (record.readOnly)
        throw new FirebreakError("WORKSPACE_STATE_CONFLICT", `the workspace of '${vm.name}' is read-only`, {
          hint: `Copy what is wanted: firebreak vm cp ${vm.name}:${record.guestPath}/… .`,
        });
      return record;
    }
    const guestPath = request.guestPath ?? existing?.guestPath;
    return newRecord(vm, { directory, exclude: existing?.exclude, ...(guestPath === undefined ? {} : { guestPath }) });
  }

  #require(vm: WorkspaceVm): WorkspaceRecord {
    const record = this.#store.get(vm.id);
    if (record !== undefined) return record;
    throw new FirebreakError("WORKSPACE_NOT_FOUND", `the VM '${vm.name}' has no workspace`, {
      hint: `Copy a directory into it: firebreak workspace push ${vm.name} DIR`,
    });
  }

  #files(name: string): WorkspaceFiles {
    return new WorkspaceFiles(path.join(this.#options.folder, name));
  }

  #lock(id: string): Mutex {
    const mutex = this.#locks.get(id) ?? new Mutex();
    this.#locks.set(id, mutex);
    return mutex;
  }
}

function signalOf(options: WorkOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
