import { type AuditCall, TOOL_NOT_OFFERED } from "../contract/audit.ts";
import type { EGRESS_VERDICTS } from "../contract/egress.ts";
import { SERVER_STATES, type Server } from "../contract/server.ts";
import { VM_STATES, type VmOrigin, type VmState } from "../contract/vm.ts";
import type { Audit } from "../gateway/service.ts";
import { Counter, Histogram, renderLooked } from "../metrics/figures.ts";

const START_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const CALL_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
/** Series of calls; each of their durations is thirteen lines. */
const [MAX_CALL_SERIES, MAX_DURATION_SERIES] = [2_000, 500];
/** Tools of one server that are told apart: it names them, and may name others tomorrow. */
const MAX_TOOLS = 100;
const MAX_SERVERS = 512;

interface VmFacts {
  id: string;
  state: VmState;
  origin: VmOrigin;
}

export interface MetricsDeps {
  vms: {
    list: () => VmFacts[];
    get: (id: string) => VmFacts | undefined;
    onChange: (listener: (id: string) => void) => void;
  };
  /** Tries of VMs to get out, since the daemon's start. */
  egress: () => Readonly<Record<(typeof EGRESS_VERDICTS)[number], number>>;
  servers: () => Pick<Server, "state">[];
  nowMs?: () => number;
}

/** What the daemon counts, for Prometheus. Nothing of it is measured on a timer: an idle daemon stays idle. */
export class Metrics {
  readonly #deps: MetricsDeps;
  readonly #nowMs: () => number;
  readonly #starting = new Map<string, number>();
  readonly #tools = new Map<string, Set<string>>();
  readonly #starts = new Histogram({
    name: "firebreak_vm_start_seconds",
    help: "Starts of VMs, from the first step to running or to the failure; `how` is what their life began with.",
    bounds: START_BOUNDS,
  });
  readonly #calls = new Counter({
    name: "firebreak_mcp_calls_total",
    help: "Calls of MCP servers' tools that have ended.",
    maxSeries: MAX_CALL_SERIES,
  });
  readonly #durations = new Histogram({
    name: "firebreak_mcp_call_seconds",
    help: "How long calls of MCP servers' tools took.",
    bounds: CALL_BOUNDS,
    maxSeries: MAX_DURATION_SERIES,
  });

  constructor(deps: MetricsDeps) {
    this.#deps = deps;
    this.#nowMs = deps.nowMs ?? (() => performance.now());
    deps.vms.onChange((id) => this.#vmChanged(id));
  }

  /** The audit log, with what is recorded there counted here too. */
  counting(audit: Audit): Audit {
    return {
      requireWritable: () => audit.requireWritable(),
      record: (call) => {
        this.#count(call);
        audit.record(call);
      },
    };
  }

  render(): string {
    const { vms, egress, servers } = this.#deps;
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    const looked = (name: string, help: string, value: number, kind: "gauge" | "counter" = "gauge") =>
      renderLooked({ name, help }, kind, [{ value }]);
    return [
      renderLooked({ name: "firebreak_vms", help: "VMs by state." }, "gauge", byState(VM_STATES, vms.list())),
      this.#starts.render(),
      renderLooked(
        { name: "firebreak_mcp_servers", help: "MCP servers by state." },
        "gauge",
        byState(SERVER_STATES, servers()),
      ),
      this.#calls.render(),
      this.#durations.render(),
      renderLooked(
        { name: "firebreak_egress_total", help: "Tries of VMs to get out, by what became of them." },
        "counter",
        Object.entries(egress()).map(([verdict, value]) => ({ labels: { verdict }, value })),
      ),
      looked("process_resident_memory_bytes", "Memory of the daemon.", rss),
      looked("nodejs_heap_size_used_bytes", "Of its heap.", heapUsed),
      looked("process_cpu_seconds_total", "CPU time of the daemon.", (user + system) / 1e6, "counter"),
      looked("process_start_time_seconds", "When it started.", performance.timeOrigin / 1000),
      looked(
        "firebreak_event_loop_active_seconds_total",
        "Time in which the daemon's event loop was busy; its rate is its load.",
        performance.eventLoopUtilization().active / 1000,
        "counter",
      ),
    ].join("");
  }

  #vmChanged(id: string): void {
    const vm = this.#deps.vms.get(id);
    const begunMs = this.#starting.get(id);
    if (vm?.state === "starting") {
      if (begunMs === undefined) this.#starting.set(id, this.#nowMs());
      return;
    }
    if (begunMs === undefined) return;
    this.#starting.delete(id);
    // One that is deleted meanwhile has neither worked nor failed.
    if (vm === undefined || vm.state === "deleting") return;
    const outcome = vm.state === "running" ? "ok" : "failed";
    this.#starts.observe({ how: vm.origin, outcome }, (this.#nowMs() - begunMs) / 1000);
  }

  /** Names that nobody's tool has are a caller's own, and would take the place of tools'. */
  #count({ server, tool = "", verdict, code, durationMs }: AuditCall): void {
    const isKnown = this.#tools.has(server) || this.#tools.size < MAX_SERVERS;
    const labels = isKnown
      ? { server, tool: code === TOOL_NOT_OFFERED ? "other" : this.#labelOf(server, tool) }
      : { server: "other", tool: "other" };
    this.#calls.add({ ...labels, verdict });
    this.#durations.observe(labels, durationMs / 1000);
  }

  #labelOf(server: string, tool: string): string {
    const tools = this.#tools.get(server) ?? new Set();
    this.#tools.set(server, tools);
    if (tools.has(tool)) return tool;
    if (tools.size >= MAX_TOOLS) return "other";
    tools.add(tool);
    return tool;
  }
}

function byState<State extends string>(states: readonly State[], all: readonly { state: State }[]) {
  const counts = new Map<State, number>();
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  return states.map((state) => ({ labels: { state }, value: counts.get(state) ?? 0 }));
}
