import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { readHostMemory, readMemoryLimits } from "./host-memory.ts";

function makeRoot(files: Record<string, string>): string {
  const root = mkdtempSync(path.join(os.tmpdir(), "fb-memory-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

test("limits of the process's groups are found in either version, from its own up, without cache that can be dropped", () => {
  const root = makeRoot({
    "proc/self/cgroup": "4:memory:/docker/abc/own\n3:cpu:/\n0::/slice/unit\n",
    "proc/self/mountinfo": [
      "30 20 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw",
      "31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
      "32 20 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    ].join("\n"),
    "sys/fs/cgroup/unified/slice/memory.max": "1000\n",
    "sys/fs/cgroup/unified/slice/memory.current": "400\n",
    "sys/fs/cgroup/unified/slice/memory.stat": "anon 1\ninactive_file 100\nactive_file 50\n",
    "sys/fs/cgroup/unified/slice/unit/memory.max": "max\n",
    "sys/fs/cgroup/unified/slice/unit/memory.current": "400\n",
    "sys/fs/cgroup/memory/own/memory.limit_in_bytes": "700\n",
    "sys/fs/cgroup/memory/own/memory.usage_in_bytes": "900\n",
    "sys/fs/cgroup/memory/own/memory.stat": "inactive_file 500\ntotal_inactive_file 150\n",
  });
  assert.deepEqual(readMemoryLimits(root), [
    { limitBytes: 700, freeBytes: 0 },
    { limitBytes: 1000, freeBytes: 700 },
  ]);
  rmSync(root, { recursive: true });
});

test("a group outside what is mounted has the mount's own limits, and no groups have none", () => {
  const root = makeRoot({
    "proc/self/cgroup": "0::/../elsewhere\n",
    "proc/self/mountinfo": "30 20 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
    "cg/memory.max": "50\n",
    "cg/memory.current": "20\n",
  });
  assert.deepEqual(readMemoryLimits(root), [{ limitBytes: 50, freeBytes: 30 }]);
  assert.deepEqual(readMemoryLimits(path.join(root, "nothing")), []);
  rmSync(root, { recursive: true });
});

test("the host's memory is some, and not more than there is", () => {
  const { totalMib, freeMib } = readHostMemory();
  assert.ok(freeMib > 0 && freeMib <= totalMib && totalMib <= os.totalmem() / 1024 / 1024);
});
