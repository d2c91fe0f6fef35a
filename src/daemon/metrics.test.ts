import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuditCall } from "../contract/audit.ts";
import type { VmOrigin, VmState } from "../contract/vm.ts";
import { Metrics } from "./metrics.ts";

function open() {
  const vms = new Map<string, { id: string; state: VmState; origin: VmOrigin }>();
  let tell: (id: string) => void = () => {};
  let now = 0;
  const recorded: AuditCall[] = [];
  const metrics = new Metrics({
    vms: {
      list: () => [...vms.values()],
      get: (id) => vms.get(id),
      onChange: (listener) => {
        tell = listener;
      },
    },
    egress: () => ({ allowed: 5, denied: 3, failed: 0 }),
    servers: () => [{ state: "running" }, { state: "running" }, { state: "new" }],
    nowMs: () => now,
  });
  const audit = metrics.counting({ requireWritable: () => {}, record: (call) => void recorded.push(call) });
  return {
    metrics,
    recorded,
    change: (id: string, state: VmState, atMs: number, origin: VmOrigin = "boot") => {
      vms.set(id, { id, state, origin });
      now = atMs;
      tell(id);
    },
    call: (server: string, tool: string, verdict: AuditCall["verdict"] = "ok", durationMs = 20) =>
      audit.record({
        client: { principal: "local" },
        server,
        tool,
        requestBytes: 1,
        responseBytes: 1,
        durationMs,
        verdict,
      }),
    lines: (part: string) =>
      metrics
        .render()
        .split("\n")
        .filter((line) => line.startsWith(part)),
  };
}

test("VMs, servers and ways out are counted by what they are", () => {
  const { change, lines } = open();
  change("a", "running", 0);
  change("b", "running", 0);
  change("c", "suspended", 0);
  assert.ok(lines("firebreak_vms").includes('firebreak_vms{state="running"} 2'));
  assert.ok(lines("firebreak_vms").includes('firebreak_vms{state="starting"} 0'));
  assert.ok(lines("firebreak_mcp_servers").includes('firebreak_mcp_servers{state="running"} 2'));
  assert.deepEqual(lines("firebreak_egress_total"), [
    'firebreak_egress_total{verdict="allowed"} 5',
    'firebreak_egress_total{verdict="denied"} 3',
    'firebreak_egress_total{verdict="failed"} 0',
  ]);
});

test("a start is measured from its beginning to its end, whichever that is", () => {
  const { change, lines } = open();
  change("a", "starting", 1_000, "template");
  change("a", "starting", 1_200, "template");
  change("a", "running", 1_500, "template");
  change("a", "running", 9_000, "template");
  change("b", "starting", 0);
  change("b", "crashed", 3_000);
  change("c", "starting", 0);
  change("c", "deleting", 3_000);
  assert.deepEqual(
    lines("firebreak_vm_start_seconds").filter((line) => !line.includes("_bucket")),
    [
      'firebreak_vm_start_seconds_sum{how="template",outcome="ok"} 0.5',
      'firebreak_vm_start_seconds_count{how="template",outcome="ok"} 1',
      'firebreak_vm_start_seconds_sum{how="boot",outcome="failed"} 3',
      'firebreak_vm_start_seconds_count{how="boot",outcome="failed"} 1',
    ],
  );
});

test("calls are counted and recorded; a server that has a new tool for each call has no series for each", () => {
  const { call, lines, recorded } = open();
  call("git", "status");
  call("git", "status", "tool_error");
  for (let count = 0; count < 1_000; count++) call("hostile", `tool-${count}`);
  call("git", "log");
  assert.equal(recorded.length, 1_003);
  const counted = lines("firebreak_mcp_calls_total");
  for (const line of [
    'firebreak_mcp_calls_total{server="git",tool="status",verdict="ok"} 1',
    'firebreak_mcp_calls_total{server="git",tool="status",verdict="tool_error"} 1',
    'firebreak_mcp_calls_total{server="git",tool="log",verdict="ok"} 1',
    'firebreak_mcp_calls_total{server="hostile",tool="other",verdict="ok"} 900',
  ])
    assert.ok(counted.includes(line), line);
  assert.equal(counted.length, 104);
});
