import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { checkSeccomp } from "./seccomp.ts";

let proc: string;
before(() => {
  proc = mkdtempSync(path.join(os.tmpdir(), "fb-proc-"));
});
after(() => rmSync(proc, { recursive: true, force: true }));

const status = (name: string, mode: number, filters?: number) =>
  `Name:\t${name}\nUmask:\t0022\nSeccomp:\t${mode}\n${filters === undefined ? "" : `Seccomp_filters:\t${filters}\n`}`;

/** A /proc of this daemon and of one VMM. */
function makeProc(own: string, threads: string[]): void {
  rmSync(proc, { recursive: true, force: true });
  mkdirSync(path.join(proc, "self"), { recursive: true });
  writeFileSync(path.join(proc, "self", "status"), own);
  for (const [index, text] of threads.entries()) {
    mkdirSync(path.join(proc, "7", "task", String(7 + index)), { recursive: true });
    writeFileSync(path.join(proc, "7", "task", String(7 + index), "status"), text);
  }
}

test("a VMM whose threads are all filtered passes, also on a kernel that does not count filters", async () => {
  makeProc(status("node", 0, 0), [status("firecracker", 2, 1), status("fc_api", 2, 1), status("fc_vcpu 0", 2, 2)]);
  await checkSeccomp(7, proc);
  makeProc(status("node", 0), [status("firecracker", 2)]);
  await checkSeccomp(7, proc);
});

test("one thread without a filter is enough to refuse, and it is named", async () => {
  const refusal = { code: "VMM_START_FAILED", message: /thread fc_vcpu 0 runs without a seccomp filter/ };
  makeProc(status("node", 0, 0), [status("firecracker", 2, 1), status("fc_vcpu 0", 0, 0)]);
  await assert.rejects(checkSeccomp(7, proc), refusal);
  makeProc(status("node", 0), [status("fc_vcpu 0", 1)]);
  await assert.rejects(checkSeccomp(7, proc), refusal);
  makeProc(status("node", 0, 0), ["Name:\tfc_vcpu 0\n"]);
  await assert.rejects(checkSeccomp(7, proc), refusal);
});

test("the filter of a container that all of this runs in does not count as the VMM's", async () => {
  makeProc(status("node", 2, 1), [status("firecracker", 2, 1)]);
  await assert.rejects(checkSeccomp(7, proc), { code: "VMM_START_FAILED" });
  makeProc(status("node", 2, 1), [status("firecracker", 2, 2)]);
  await checkSeccomp(7, proc);
});

test("a VMM that is gone is not taken for one that is filtered", async () => {
  makeProc(status("node", 0, 0), []);
  await assert.rejects(checkSeccomp(7, proc), { code: "VMM_START_FAILED", message: /ended at start/ });
});
