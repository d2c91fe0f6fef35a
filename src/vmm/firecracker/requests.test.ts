import assert from "node:assert/strict";
import { test } from "node:test";
import { FirecrackerSchema } from "../../../test/support/firecracker-openapi.ts";
import type { VmmConfig } from "../driver.ts";
import type { ApiRequest } from "./api-client.ts";
import { featuresOf, parseFirecrackerVersion } from "./release/version.ts";
import {
  bootRequests,
  driveFileRequest,
  type FirecrackerTuning,
  restoreRequests,
  saveRequest,
  stateRequest,
} from "./requests.ts";

const schema = new FirecrackerSchema();
const NEWEST = featuresOf(parseFirecrackerVersion("1.17.0"));
const OLDEST = featuresOf(parseFirecrackerVersion("1.13.0"));

const config: VmmConfig = {
  vmId: "vm-1",
  memoryMib: 512,
  cpus: 2,
  accel: "kvm",
  kernelPath: "/k/vmlinuz",
  initrdPath: "/k/initrd",
  kernelArgs: ["mitigations=off"],
  drives: [
    { serial: "image", path: "/d/image", readOnly: true },
    { serial: "over-lay", path: "/d/overlay", readOnly: false },
  ],
  runtimeDir: "/run/v",
  logPath: "/v/log",
  uid: 1000,
};

function assertValid(requests: ApiRequest[]): void {
  for (const { method, path, body } of requests)
    assert.deepEqual(schema.problems(method, path, body), [], `${method} ${path} ${JSON.stringify(body)}`);
}
const find = (requests: ApiRequest[], path: string) => requests.find((request) => request.path === path)?.body;

test("every body is as Firecracker's OpenAPI document has it, whatever is asked for", () => {
  const tunings: FirecrackerTuning[] = [
    {},
    {
      driveLimits: { image: { bytesPerSecond: 1e8 }, "over-lay": { bytesPerSecond: 5e7, operationsPerSecond: 2000 } },
      cardLimit: { bytesPerSecond: 1e7 },
      cpuTemplate: "T2",
      hugePages: true,
      balloon: true,
    },
    { cpuConfig: { kvm_capabilities: ["!121"], msr_modifiers: [{ addr: "0x10a", bitmap: `0b${"x".repeat(64)}` }] } },
  ];
  for (const features of [NEWEST, OLDEST])
    for (const tuning of tunings)
      for (const card of [undefined, { kind: "tap" as const, device: "fb-tap0" }]) {
        const machine = card === undefined ? config : { ...config, card };
        assertValid(bootRequests(machine, features, tuning));
        assertValid(restoreRequests(machine, features));
      }
  assertValid([
    saveRequest({ memory: "/m", state: "/s" }),
    stateRequest("Paused"),
    stateRequest("Resumed"),
    driveFileRequest("over-lay"),
  ]);
});

test("the document is heeded: a wrong type, an unknown field, a missing one and a path that is none are found", () => {
  assert.match(schema.problems("PUT", "/machine-config", { vcpu_count: "2", mem_size_mib: 1 }).join(), /vcpu_count/);
  assert.match(schema.problems("PUT", "/vsock", { guest_cid: 3, uds_path: "/v", id: "x" }).join(), /\(id\)/);
  assert.match(schema.problems("PUT", "/vsock", { guest_cid: 2, uds_path: "/v" }).join(), />= 3/);
  assert.match(schema.problems("PUT", "/drives/x", { is_root_device: true }).join(), /drive_id/);
  assert.match(schema.problems("PUT", "/drives/a-b", {}).join(), /Invalid request method/);
  assert.match(schema.problems("PUT", "/actions", undefined).join(), /Empty PUT/);
});

test("the machine starts last, drives come in the guest's order, and the command line says so", () => {
  const requests = bootRequests(config, NEWEST);
  assert.deepEqual(requests.at(-1)?.body, { action_type: "InstanceStart" });
  const drives = requests.filter(({ path }) => path.startsWith("/drives/")).map(({ body }) => body);
  assert.deepEqual(
    drives.map((drive) => [drive?.drive_id, drive?.path_on_host, drive?.is_read_only, drive?.is_root_device]),
    [
      ["image", "drive_image", true, false],
      ["over_lay", "drive_over_lay", false, false],
    ],
  );
  const words = String(find(requests, "/boot-source")?.boot_args).split(" ");
  for (const word of ["console=ttyS0", "firebreak.channel=vsock", "firebreak.drives=image,over-lay", "mitigations=off"])
    assert.ok(words.includes(word), word);
  assert.ok(!words.some((word) => word === "nomodule" || word.startsWith("virtio_mmio.")));
});

test("a release gets nothing that it does not know", () => {
  assert.equal(find(bootRequests(config, OLDEST), "/serial"), undefined);
  const loaded = find(restoreRequests(config, OLDEST), "/snapshot/load");
  assert.deepEqual(Object.keys(loaded ?? {}), ["snapshot_path", "mem_backend", "resume_vm"]);
  const newest = find(restoreRequests({ card: { kind: "tap", device: "t1" } }, NEWEST), "/snapshot/load");
  assert.deepEqual(newest?.vsock_override, { uds_path: "vsock" });
  assert.deepEqual(newest?.network_overrides, [{ iface_id: "card", host_dev_name: "t1" }]);
  assert.equal(newest?.clock_realtime, process.arch === "x64" ? true : undefined);
});

test("a release that has no file for the console gives its guest none", () => {
  const words = (features: typeof OLDEST) => String(find(bootRequests(config, features), "/boot-source")?.boot_args);
  assert.ok(words(NEWEST).includes("console=ttyS0") && !words(NEWEST).includes("nr_uarts"));
  assert.ok(words(OLDEST).includes("8250.nr_uarts=0") && !words(OLDEST).includes("ttyS0"));
});

test("a balloon is one that the guest gives unused memory back by, which older releases have not", () => {
  const asked = bootRequests(config, NEWEST, { balloon: true });
  assert.deepEqual(find(asked, "/balloon"), { amount_mib: 0, deflate_on_oom: true, free_page_reporting: true });
  const words = (requests: ApiRequest[]) => String(find(requests, "/boot-source")?.boot_args).split(" ");
  assert.ok(words(asked).includes("firebreak.balloon"));
  for (const without of [bootRequests(config, NEWEST), bootRequests(config, OLDEST, { balloon: true })]) {
    assert.equal(find(without, "/balloon"), undefined);
    assert.ok(!words(without).includes("firebreak.balloon"));
  }
});

test("nothing is said of MMDS, which is off then", () => {
  const all = [
    ...bootRequests({ ...config, card: { kind: "tap", device: "t" } }, NEWEST),
    ...restoreRequests(config, NEWEST),
  ];
  assert.ok(!all.some(({ path, body }) => /mmds/.test(path + JSON.stringify(body))));
});

test("what a guest prints is limited where the release can do that", () => {
  const limit = find(bootRequests(config, NEWEST), "/serial")?.rate_limiter as { size: number };
  assert.ok(limit.size > 0);
  const fourteen = featuresOf(parseFirecrackerVersion("1.14.0"));
  assert.deepEqual(find(bootRequests(config, fourteen), "/serial"), { serial_out_path: "console" });
});
