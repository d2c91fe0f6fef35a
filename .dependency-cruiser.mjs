/**
 * Who may import whom, as an allow-list: an import that no rule allows breaks `make check`. test/imports.test.ts asserts that
 * every folder below src/ is named here.
 */

/** Files that adapters and the domain meet at: types, and the table of drivers. */
const PORTS = [
  "^src/vmm/drivers?\\.ts$",
  "^src/vms/ports\\.ts$",
  "^src/vms/(vm|drive)-store\\.ts$",
  "^src/mcp/http/session-store\\.ts$",
  "^src/forwards/forward-store\\.ts$",
  "^src/contract/",
  "^src/workspaces/workspace-store\\.ts$",
  "^src/artifacts/artifact-store\\.ts$",
  "^src/network/(egress-store|nat-settings)\\.ts$",
  "^src/secrets/secret-store\\.ts$",
  "^src/gateway/server-store\\.ts$",
  "^src/tasks/task-store\\.ts$",
  "^src/tasks/webhooks/delivery-store\\.ts$",
];
const outside = ["^node_modules/", "^node:"];
const folder = (name) => `^src/${name}/`;

/** Folder → what it may import besides itself and npm packages. */
export const LAYERS = {
  errors: [],
  platform: [folder("errors")],
  // Tar streams and host directories: what the CLI copies with, and the daemon's workspaces and artifacts.
  archive: [folder("errors"), folder("platform")],
  // What the guest answers goes on to callers as it is; its schemas have no other home.
  contract: [folder("errors"), "^src/guest/protocol\\.ts$"],
  artifacts: [folder("errors"), folder("platform"), folder("guest"), "^src/vms/mutex\\.ts$", ...PORTS],
  workspaces: [
    folder("errors"),
    folder("platform"),
    folder("archive"),
    folder("guest"),
    "^src/vms/mutex\\.ts$",
    ...PORTS,
  ],
  guest: [folder("errors"), folder("platform"), folder("contract")],
  // Releases of VMMs come as tar archives.
  vmm: [folder("errors"), folder("platform"), folder("archive"), ...PORTS],
  images: [folder("errors"), folder("platform"), folder("archive"), ...PORTS],
  store: [folder("errors"), folder("platform"), ...PORTS],
  // The guest client is the one adapter that the domain knows: it is the same for every driver.
  snapshots: [folder("errors"), folder("platform"), folder("guest"), ...PORTS],
  forwards: [folder("errors"), folder("platform"), folder("guest"), folder("vms"), ...PORTS],
  secrets: [folder("errors"), folder("platform"), ...PORTS],
  // Host directories that guests see live.
  mounts: [folder("errors"), folder("platform"), folder("guest"), ...PORTS],
  network: [folder("errors"), folder("platform"), folder("guest"), folder("secrets"), ...PORTS],
  // Work that is delegated: queue, runs, logs and results.
  tasks: [
    folder("errors"),
    folder("platform"),
    folder("archive"),
    folder("guest"),
    folder("vms"),
    "^src/artifacts/media-type\\.ts$",
    "^src/gateway/config/(check|document)\\.ts$",
    "^src/gateway/install/install-hint\\.ts$",
    ...PORTS,
  ],
  vms: [folder("errors"), folder("platform"), folder("guest"), folder("snapshots"), folder("telemetry"), ...PORTS],
  audit: [folder("errors"), folder("platform"), ...PORTS],
  // Spans of what is done, and what they are part of: known to all that a request passes through.
  telemetry: [folder("errors")],
  // Counters in Prometheus' text format; who counts what is the daemon's.
  metrics: [],
  "daemon/api": [
    folder("errors"),
    folder("platform"),
    folder("contract"),
    folder("guest"),
    folder("vms"),
    folder("workspaces"),
    folder("forwards"),
    folder("artifacts"),
    folder("network"),
    folder("secrets"),
    folder("gateway"),
    folder("audit"),
    folder("tasks"),
  ],
  daemon: [
    folder("errors"),
    folder("platform"),
    folder("contract"),
    folder("guest"),
    folder("vmm"),
    folder("images"),
    folder("store"),
    folder("snapshots"),
    folder("vms"),
    folder("client"),
    folder("mcp"),
    folder("workspaces"),
    folder("forwards"),
    folder("artifacts"),
    folder("network"),
    folder("secrets"),
    folder("tasks"),
    folder("gateway"),
    folder("audit"),
    folder("metrics"),
    folder("telemetry"),
    folder("mounts"),
  ],
  // How agents are started and heard: pure, and read from firebreak.toml as the servers are.
  "tasks/agents": [folder("errors"), "^src/gateway/config/(check|document)\\.ts$", "^src/contract/"],
  // MCP servers, each in a VM of its own.
  gateway: [
    folder("errors"),
    folder("platform"),
    folder("guest"),
    folder("vms"),
    folder("snapshots"),
    folder("telemetry"),
    "^src/mcp/(extras|subscription-hooks|log-levels|legacy-errors|traced-server)\\.ts$",
    // Rules of policies are read and checked where they stand, with their line; that part of the network is pure.
    "^src/network/(problems|rule-text|ports|sets)\\.ts$",
    "^src/network/nat/address-rules\\.ts$",
    ...PORTS,
  ],
  client: [folder("errors"), folder("platform"), folder("contract"), folder("telemetry"), "^src/guest/protocol\\.ts$"],
  mcp: [
    folder("errors"),
    folder("contract"),
    folder("client"),
    folder("telemetry"),
    "^src/platform/(addresses|paths|package-files)\\.ts$",
    "^src/archive/(tar-writer|tar-format)\\.ts$",
    "^src/guest/protocol\\.ts$",
  ],
  cli: [
    folder("errors"),
    folder("platform"),
    folder("contract"),
    folder("client"),
    folder("mcp"),
    folder("archive"),
    folder("telemetry"),
    "^src/gateway/config/",
    "^src/guest/(protocol|guest-errors)\\.ts$",
    // Installing a release needs no daemon, and comes before the first one.
    "^src/vmm/firecracker/release/install\\.ts$",
  ],
};

/** Folders with a rule of their own below one. */
const inner = (name) => Object.keys(LAYERS).filter((other) => other.startsWith(`${name}/`));

/** Tests beside the source may use test support and any port's contract suite. */
const TEST_FILES = "\\.(test|contract)\\.ts$";

export default {
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    parser: "swc",
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js"],
    },
  },
  allowed: [
    ...Object.entries(LAYERS).map(([name, allowed]) => ({
      from: { path: folder(name), pathNot: inner(name).length > 0 ? inner(name).map(folder) : undefined },
      to: { path: [folder(name), ...allowed, ...outside, "^[a-z0-9_/@-]+$"] },
    })),
    { from: { path: TEST_FILES }, to: {} },
    { from: { path: "^(test|bench|scripts)/" }, to: {} },
  ].map((rule) => JSON.parse(JSON.stringify(rule))),
  allowedSeverity: "error",
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: { path: "^src/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "processes-in-platform-only",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/platform/", TEST_FILES] },
      to: { path: "^(node:)?child_process$" },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "composition-root",
      severity: "error",
      from: { pathNot: "^src/daemon/" },
      to: { path: "^src/daemon/(main|entry)\\.ts$" },
    },
  ],
};
