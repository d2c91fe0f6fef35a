import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { pino } from "pino";
import { ArtifactService } from "../artifacts/service.ts";
import { AuditService } from "../audit/service.ts";
import { API_VERSION, API_VERSION_HEADER } from "../contract/api-version.ts";
import type { ShutdownRequest } from "../contract/daemon.ts";
import { decodeOnBehalf, ON_BEHALF_HEADER } from "../contract/on-behalf.ts";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import { ForwardService } from "../forwards/service.ts";
import { lazyJudge } from "../gateway/approved.ts";
import { Machines } from "../gateway/machine.ts";
import { Gateway } from "../gateway/service.ts";
import { HostDriveFiles } from "../images/drive-files.ts";
import { IMAGE_REQUIREMENTS } from "../images/requirements.ts";
import { listImages } from "../images/store.ts";
import { removeStaleWorkDirs } from "../images/work-dir.ts";
import { MountService } from "../mounts/service.ts";
import { NatService } from "../network/nat/service.ts";
import { readRegistryUrls } from "../network/registries.ts";
import { checkSecretHosts, NetworkService } from "../network/service.ts";
import { BoundedLog } from "../platform/bounded-log.ts";
import { agentBinaryPath, dashboardFolder, readVersion } from "../platform/package-files.ts";
import { createPaths, resolvePaths } from "../platform/paths.ts";
import { findProgram } from "../platform/process.ts";
import { removeFolder } from "../platform/remove-folder.ts";
import { SecretService } from "../secrets/service.ts";
import { Vault } from "../secrets/vault.ts";
import { SavedFolder } from "../snapshots/saved-folder.ts";
import { Templates, toTemplate } from "../snapshots/templates.ts";
import { SqliteArtifactStore } from "../store/artifacts.ts";
import { auditHeadOf } from "../store/audit-head.ts";
import { CallStore } from "../store/calls.ts";
import { ConfirmationStore } from "../store/confirmations.ts";
import { openDatabase } from "../store/database.ts";
import { SqliteDriveStore } from "../store/drives.ts";
import { SqliteEgressStore } from "../store/egress.ts";
import { SqliteForwardStore } from "../store/forwards.ts";
import { SqliteKeyStore } from "../store/keys.ts";
import { SqliteLoginStore } from "../store/logins.ts";
import { SqliteMcpSessionStore } from "../store/mcp-sessions.ts";
import { natSettingsOf } from "../store/nat-settings.ts";
import { SqliteSecretStore } from "../store/secrets.ts";
import { SqliteServerStore } from "../store/servers.ts";
import { SqliteSettings } from "../store/settings.ts";
import { vaultStateOf } from "../store/vault-state.ts";
import { SqliteVmStore } from "../store/vms.ts";
import { SqliteWorkspaceStore } from "../store/workspaces.ts";
import { DEFAULT_OVERCOMMIT } from "../vms/admission.ts";
import { AttachedDrives } from "../vms/attached-drives.ts";
import { Drives } from "../vms/drives.ts";
import { FIRST_VM_UID } from "../vms/from-request.ts";
import { VmService } from "../vms/service.ts";
import { VmSnapshots } from "../vms/snapshots.ts";
import { createWorkspaceHooks } from "../workspaces/hooks.ts";
import { WorkspaceService } from "../workspaces/service.ts";
import { createApi } from "./api/app.ts";
import type { Caller } from "./api/context.ts";
import { AuditMask } from "./audit-mask.ts";
import { beginTelemetry } from "./begin-telemetry.ts";
import { ImageLibrary } from "./boot-source.ts";
import { CallLedger } from "./call-ledger.ts";
import { cached, readAuditSettings, readPrices, readSets, readTrust, toTaskSettings, watchConfig } from "./config.ts";
import { browserSessions } from "./dashboard/browser-sessions.ts";
import { DashboardFiles } from "./dashboard/files.ts";
import { Sessions } from "./dashboard/sessions.ts";
import { runDoctor, SSH_REQUIREMENT } from "./doctor.ts";
import { Drain } from "./drain.ts";
import { HostDisk } from "./host-disk.ts";
import { readHostInfo } from "./host-info.ts";
import { ImageBuilder } from "./image-build.ts";
import { ImageService } from "./image-service.ts";
import { listImageUses } from "./image-uses.ts";
import { takeInstanceLock } from "./instance-lock.ts";
import { KernelLibrary } from "./kernel-library.ts";
import { KeyRing } from "./keys.ts";
import { listen } from "./listener.ts";
import { McpFront } from "./mcp-front.ts";
import { Metrics } from "./metrics.ts";
import { dialRemotes } from "./remote-dial.ts";
import { secretsForRemotes } from "./remote-secrets.ts";
import { sealLogins } from "./sealed-logins.ts";
import { ServerFiles } from "./server-files.ts";
import { ServerFront } from "./server-front.ts";
import { serverImages } from "./server-images.ts";
import { ServerLogs } from "./server-logs.ts";
import { settleVms } from "./settle-vms.ts";
import { daemonStatus, listenStatusOf } from "./status.ts";
import { describeStrays, findStrays, removeStrays } from "./strays.ts";
import { createTasks } from "./tasks.ts";
import { TcpFront } from "./tcp-front.ts";
import { inTraceOf } from "./trace-request.ts";
import { UpgradeFront } from "./upgrade-front.ts";
import { createDrivers, probeFolder } from "./vmm-drivers.ts";

const LOG_BYTES = 4 * 1024 * 1024;
/** How long requests under way may take once the daemon has been asked to end, ms. */
const DRAIN_MS = 500;
/** What the guests of commands that are cut off get to hear of it, ms. */
const KILL_MS = 300;

/** Wires the daemon together and serves until it is told to end. */
async function main(): Promise<void> {
  process.umask(0o022);
  const paths = resolvePaths();
  createPaths(paths);
  const lock = takeInstanceLock(path.join(paths.home, "daemon.lock"));
  const logFile = new BoundedLog(paths.daemonLog, LOG_BYTES);
  const logger = pino({ base: { pid: process.pid } }, { write: (line: string) => logFile.append(Buffer.from(line)) });
  const log = (message: string, fields: Record<string, unknown>) => logger.info(fields, message);
  const startedAt = new Date().toISOString();
  const version = readVersion();

  const database = openDatabase(paths.database);
  const store = new SqliteVmStore(database);
  const agentPath = agentBinaryPath();
  const configFile = path.join(paths.home, "firebreak.toml");
  const { drivers: vmmDrivers, defaultDriver } = createDrivers({ paths, configFile, env: process.env, log });
  const source = new ImageLibrary(paths, agentPath);
  const disk = new HostDisk(agentPath);
  const templateFolder = new SavedFolder(paths.templates, disk);
  const snapshotFolder = new SavedFolder(paths.snapshots, disk);
  const templates = new Templates({
    folder: templateFolder,
    drivers: vmmDrivers,
    disk,
    runtimeDir: path.join(paths.runtime, "v"),
    uid: FIRST_VM_UID - 2,
    log,
  });
  const driveStore = new SqliteDriveStore(database);
  const attached = new AttachedDrives({ paths, drives: driveStore, store, drivers: vmmDrivers, log });
  const parts = { paths, store, drivers: vmmDrivers, source, disk, log, attached, snapshots: snapshotFolder };
  const workspaces = new WorkspaceService({
    folder: paths.workspaces,
    backupFolder: paths.backups,
    ownFolders: [paths.home, paths.runtime],
    store: new SqliteWorkspaceStore(database),
    log,
  });
  const hostSetup = { home: os.homedir(), env: process.env, root: "/" };
  const endTelemetry = await beginTelemetry(configFile, version, log);
  const settings = new SqliteSettings(database);
  const secretStore = new SqliteSecretStore(database);
  const loginStore = new SqliteLoginStore(database);
  const vault = new Vault(path.join(paths.home, "vault.key"), vaultStateOf(settings, secretStore, loginStore));
  const secrets = new SecretService({
    store: secretStore,
    vault,
    usersOf: (secret) => store.list().filter((vm) => vm.secrets.some(({ name }) => name === secret)),
    checkHosts: checkSecretHosts,
  });
  const mask = new AuditMask(secrets);
  const audit = new AuditService({
    folder: path.join(paths.home, "audit"),
    key: () => vault.derive("audit", 32),
    head: auditHeadOf(settings),
    settings: cached(() => readAuditSettings(configFile)),
    mask: (text) => mask.mask(text),
    log,
  });
  const nat = new NatService({
    settings: natSettingsOf(settings),
    firstUid: FIRST_VM_UID,
    owner: ownerOf(paths.home),
    isRoot: process.getuid?.() === 0,
    log,
    onNameservers: (vmIds) => vms.networkChanged(vmIds),
    onRepair: (vmIds, what) => {
      for (const id of vmIds) if (store.get(id) !== undefined) store.addEvent(id, "network_repaired", { what });
    },
  });
  const network = new NetworkService({
    secrets,
    nat,
    derive: (purpose) => vault.derive(purpose, 32),
    store: new SqliteEgressStore(database),
    sets: () => readSets(configFile, hostSetup),
    trust: () => {
      const pem = readTrust(configFile);
      return pem === undefined ? undefined : [pem];
    },
    env: process.env,
    log,
  });
  const mounts = new MountService({ ownFolders: [paths.home, paths.runtime], log });
  const workspaceHooks = createWorkspaceHooks(workspaces, log);
  const vms = new VmService({
    ...parts,
    templates,
    network,
    workspaces: workspaceHooks,
    mounts,
    defaultDriver,
    memory: {
      overcommit: watchConfig(configFile, (config) => config.vms?.memory_overcommit ?? DEFAULT_OVERCOMMIT, log),
    },
  });
  secrets.onChange((name) => void vms.secretChanged(name));
  const snapshots = new VmSnapshots({ ...parts, vms, network });
  const images = new ImageService({
    paths,
    uses: () => listImageUses(store, snapshotFolder, templateFolder),
    deleteTemplate: (id) => templates.delete(id),
    builder: new ImageBuilder({ paths, vms, source }),
    fetchKernel: (options) => source.resolveKernel(options),
  });
  const files = new HostDriveFiles();
  const drives = new Drives({ paths, vms, store, drives: driveStore, attached, files, log });
  const forwards = new ForwardService({ store: new SqliteForwardStore(database), vms, log });
  const vmIds = () => new Set([...store.list().map((record) => record.id), ...templates.building()]);

  const artifacts = new ArtifactService(paths.artifacts, new SqliteArtifactStore(database));
  await artifacts.sweep();
  await workspaces.recover();
  // Before VMs are found again, or started by their restart policies.
  await nat.recover(store.list().filter(({ policy, vmm }) => policy.mode === "nat" && vmm !== undefined));
  // Of a daemon that was killed in the middle of it: nothing else looks for it but the next probe, which may never be.
  await vmmDrivers.killUnrecorded(probeFolder(paths));
  await vms.recover();
  await removeFolder(paths.trash);
  await mkdir(paths.trash);
  await removeStaleWorkDirs(paths.images).catch((error: unknown) =>
    log("left-overs of an image's making stay", { error: toFirebreakError(error).message }),
  );
  const fixStrays = async () => {
    const strays = describeStrays(await removeStrays(paths, vmIds, (folder) => vmmDrivers.killUnrecorded(folder)));
    if (strays.length > 0) log("removed left-overs", { strays });
    return strays;
  };
  await fixStrays();
  await templateFolder.sweep();
  await snapshotFolder.sweep();
  await snapshots.recover();
  await drives.sweep();
  // Guests are asked, and one that does not answer is not to keep the daemon from serving.
  void drives.recover().catch((error: unknown) => log("drives could not be looked after", { error: String(error) }));

  store.onChange((vmId) => void forwards.vmChanged(vmId));
  await forwards.recover();

  const keys = new KeyRing(new SqliteKeyStore(database));
  const browsers = new Sessions({ keys, settings });
  const tcp = new TcpFront({
    keys,
    sessions: browsers,
    dashboard: new DashboardFiles(dashboardFolder()),
    settings,
    log,
    serve: (incoming, outgoing, caller) => serve(incoming, outgoing, caller),
    upgrade: (incoming, socket, head) => upgrades.handle(incoming, socket, head),
  });
  const serverLogs = new ServerLogs(path.join(paths.home, "servers"));
  const metrics = new Metrics({
    vms: {
      list: () => vms.list(),
      get: (id) => store.get(id),
      onChange: (listener) => void store.onChange(listener),
    },
    egress: () => network.log.totals,
    servers: () => gateway.list(),
  });
  const sessions = new SqliteMcpSessionStore(database);
  const secretFor = secretsForRemotes(secrets);
  const dial = dialRemotes({ env: process.env });
  const gateway: Gateway = new Gateway({
    store: new SqliteServerStore(database),
    machines: new Machines({
      vms,
      copies: { ...workspaceHooks, declareCopies: (vm, specs) => workspaces.declareCopies(vm, specs) },
      snapshots,
      registries: () => readRegistryUrls(hostSetup),
      environmentOf: (grants) => network.environmentOf({ secrets: grants }),
      images: serverImages({ paths, images, resolve: (name, options) => source.resolveImage(name, options) }),
      imageConfigOf: (digest) => images.config(digest),
      exposed: (grants) => secrets.granted(grants).flatMap(({ name, expose }) => (expose === "env" ? [name] : [])),
      log,
    }),
    client: { name: "firebreak", version },
    pins: lazyJudge(async () => {
      const { Pins } = await import("../gateway/pins.ts");
      return new Pins({ folder: path.join(paths.home, "definitions"), home: paths.home });
    }),
    audit: metrics.counting(audit),
    secretFor,
    dial,
    logins: sealLogins(loginStore, vault, log),
    hasSession: (id) => sessions.get(id) !== undefined,
    writeLog: (server, text) => serverLogs.write(server, text),
    log,
  });
  const {
    tasks,
    listAgents,
    recover: recoverTasks,
    close: closeTasks,
  } = createTasks({
    folder: path.join(paths.home, "tasks"),
    configFile,
    database,
    vms,
    drives,
    settings,
    npmRegistry: () => readRegistryUrls(hostSetup).npm,
    secrets: secretStore,
    secretFor,
    secretValue: (name) => {
      secrets.get(name);
      return (
        secrets
          .granted([{ name }])
          .find((secret) => secret.name === name)
          ?.value() ?? ""
      );
    },
    dial,
    checkAccess: (policy, grants) => network.check(policy, grants),
    triesOf: (vmId) => network.events({ vmId, limit: 10 }),
    taskSettings: watchConfig(configFile, toTaskSettings, log),
    log,
  });
  const mcp = new McpFront({ socketPath: paths.socket, store: sessions, version, gateway, log });
  const serverFiles = new ServerFiles({ gateway, sets: () => readSets(configFile, hostSetup), log });
  gateway.listen({ onOffersChanged: () => serverFiles.follow() });
  const serverMcp = new ServerFront({ gateway, store: sessions, log });
  let server: Server;
  const drain = new Drain();
  const upgrades = new UpgradeFront(vms, tasks, drain);
  let isEnding = false;
  const end = async (why: string, { drainMs = DRAIN_MS, vms: vmsAfter = "keep" }: ShutdownRequest = {}) => {
    if (isEnding) return;
    isEnding = true;
    log("the daemon ends", { why, drainMs, vms: vmsAfter });
    const left = await drain.empty(drainMs);
    if (left > 0) log("requests are cut off", { requests: left });
    if (vmsAfter !== "keep") await settleVms(vms, vmsAfter, log);
    await Promise.all([mcp.close(), serverMcp.close()]);
    serverFiles.close();
    gateway.close();
    await closeTasks();
    server.close();
    tcp.stopAccepting();
    const closed = new Promise<void>((resolve) => server.once("close", resolve));
    await Promise.race([closed, sleep(DRAIN_MS)]);
    // Commands whose callers are attached are cut off as if the callers had gone: their groups are ended before we are.
    server.closeAllConnections();
    await upgrades.close();
    await Promise.all([closed, tcp.end()]);
    await forwards.close();
    await Promise.all([sleep(KILL_MS), endTelemetry()]);
    vms.close();
    await mounts.close();
    network.close();
    nat.close();
    await vmmDrivers.close();
    serverLogs.close();
    await audit.close();
    database.close();
    logFile.close();
    lock.release();
    process.exit(0);
  };
  const api = createApi({
    vms,
    snapshots,
    drives,
    workspaces,
    forwards,
    network,
    nat,
    secrets,
    artifacts,
    templates: {
      list: () => templates.list((manifest) => source.templateSpec(manifest)),
      create: async ({ image, accel, driver: asked = defaultDriver(), ...size }, options) => {
        const kernel = await source.resolveKernel(options);
        const { signal } = options;
        const { driver } = await vmmDrivers.choose({ driver: asked, accel, hasVolumes: false, boot: kernel, signal });
        const spec = {
          ...size,
          kernel,
          image: await source.resolveImage(image, options),
          driver: driver.name,
          accel: (await driver.chooseAccel(accel, kernel, signal)).accel,
        };
        return toTemplate(await templates.ensure(spec, options), false);
      },
      get: (id) => templates.get(id, (manifest) => source.templateSpec(manifest)),
      delete: (id) => templates.delete(id),
      prune: (all) => templates.prune(all, (manifest) => source.templateSpec(manifest)),
    },
    images,
    kernels: new KernelLibrary(paths, (id) =>
      store
        .list()
        .filter(({ kernelId }) => kernelId === id)
        .map(({ name }) => name),
    ),
    confirmations: new ConfirmationStore(database),
    calls: new CallLedger(new CallStore(database)),
    audit,
    keys: {
      list: () => keys.list(),
      create: (request) => keys.create(request),
      revoke: (nameOrId) => {
        const revoked = keys.revoke(nameOrId);
        tcp.hangUp(revoked.id);
        return revoked;
      },
    },
    sessions: browserSessions(browsers, tcp),
    host: {
      info: () => readHostInfo({ version, home: paths.home, drivers: vmmDrivers, defaultDriver, vms }),
      prices: () => readPrices(configFile),
    },
    tcp,
    mcp,
    metrics,
    tasks,
    agents: listAgents,
    gateway,
    serverLogs,
    serverMcp,
    log,
    status: () => ({
      ...daemonStatus(paths, vms, startedAt, version),
      ...listenStatusOf(tcp),
      ...(drain.state === undefined ? {} : { draining: drain.state }),
    }),
    doctor: () =>
      runDoctor({
        paths,
        drivers: vmmDrivers,
        defaultDriver,
        vms,
        agentPath,
        programs: [...IMAGE_REQUIREMENTS, SSH_REQUIREMENT],
        findProgram,
        findStrays: async () => {
          return describeStrays(await findStrays(paths, vmIds));
        },
        images: () => listImages(paths),
        kernel: () => source.resolveKernel({}),
        exists: existsSync,
        freeBytes: async (folder) => {
          const stats = await statfs(folder);
          return stats.bavail * stats.bsize;
        },
      }),
    removeStrays: fixStrays,
    shutdown: (request) => setImmediate(() => void end("asked over the API", request)),
  });
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller) => {
    outgoing.setHeader(API_VERSION_HEADER, API_VERSION);
    const answer = getRequestListener((request, env) => api.fetch(request, { ...env, caller }), {
      overrideGlobalObjects: false,
      autoCleanupIncoming: false,
    });
    return inTraceOf(incoming, () => drain.answer(incoming, outgoing, answer));
  };
  server = await listen(
    paths.socket,
    (incoming, outgoing) => serve(incoming, outgoing, callerOf(incoming)),
    (incoming, socket, head) => upgrades.handle(incoming, socket, head),
  );
  await tcp.start();
  await gateway.recover();
  await recoverTasks();
  serverFiles.follow();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void end(signal));
  process.on("unhandledRejection", (reason) =>
    logger.error({ error: String(reason instanceof Error ? reason.stack : reason) }, "a failure went unhandled"),
  );
  log("the daemon serves", { version, socket: paths.socket });
}

/** Tells this installation's bridge from another's on the same host. */
function ownerOf(home: string): string {
  return `firebreak-${createHash("sha256").update(home).digest("hex").slice(0, 16)}`;
}

/** Who makes a request over the UNIX socket: its owner, unless it says that it is for somebody who may do less. */
function callerOf(incoming: IncomingMessage): Caller {
  const onBehalf = incoming.headers[ON_BEHALF_HEADER];
  return onBehalf === undefined ? { via: "socket" } : { via: "tcp", key: decodeOnBehalf(String(onBehalf)) };
}

main().catch((thrown: unknown) => {
  const error = toFirebreakError(thrown);
  process.stderr.write(`firebreak daemon: ${error.message} (${error.code})\n`);
  process.exit(error.exitCode);
});
