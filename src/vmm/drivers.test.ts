import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { AccelVerdict, VmmDriver } from "./driver.ts";
import { type DriverWant, VmmDrivers } from "./drivers.ts";

const KVM: AccelVerdict = { accel: "kvm", isFresh: false };
const boot = { kernelPath: "k", initrdPath: "i", kernelArgs: [] };
const want: DriverWant = { driver: "auto", accel: "auto", hasVolumes: false, boot };

function driverOf(name: string, parts: Partial<VmmDriver> = {}): VmmDriver {
  const given: Partial<VmmDriver> = {
    name,
    check: async () => {},
    version: async () => "1.2.3",
    abilities: async () => ({
      hasNetworkNamespace: false,
      hasHotplug: name === "qemu",
      hasUserCard: name === "qemu",
      canSave: true,
      plugsAtRestore: false,
    }),
    chooseAccel: async () => KVM,
    ...parts,
  };
  return given as VmmDriver;
}

const fails = (message: string) => async () => {
  throw new FirebreakError("VMM_NOT_FOUND", message);
};

async function chosen(
  firecracker: Partial<VmmDriver>,
  qemu: Partial<VmmDriver> = {},
  changes: Partial<DriverWant> = {},
) {
  const drivers = new VmmDrivers([driverOf("firecracker", firecracker), driverOf("qemu", qemu)]);
  const { driver, reason } = await drivers.choose({ ...want, ...changes });
  return [driver.name, reason];
}

test("auto is Firecracker where KVM works and all of it is there", async () => {
  assert.deepEqual(await chosen({}), ["firecracker", undefined]);
  // Whoever has no QEMU has no verdict of it either.
  assert.deepEqual(await chosen({}, { chooseAccel: fails("no QEMU") }), ["firecracker", undefined]);
});

test("auto is QEMU where Firecracker cannot do what is wanted, and says why", async () => {
  const tcg: AccelVerdict = { accel: "tcg", reason: "it hangs", isFresh: false };
  let probes = 0;
  const probe = async () => {
    probes++;
    return KVM;
  };
  const none = { hasNetworkNamespace: false, hasHotplug: false, hasUserCard: false, plugsAtRestore: false };
  const savesNothing = (whyNotSaved?: string) => async () => ({
    ...none,
    canSave: false,
    ...(whyNotSaved === undefined ? {} : { whyNotSaved }),
  });
  const cases: [Promise<(string | undefined)[]>, string][] = [
    [chosen({ check: fails("it is not installed") }), "it is not installed"],
    [chosen({ chooseAccel: probe }, { chooseAccel: async () => tcg }), "KVM does not work here: it hangs"],
    [chosen({ chooseAccel: fails("closed") }), "closed"],
    [chosen({}, {}, { accel: "tcg" }), "emulation was asked for"],
    [chosen({}, {}, { hasVolumes: true }), "the VM has volumes"],
    [chosen({}, {}, { hasUserCard: true }), "the VM's network card is within its VMM (network setup --user)"],
    [chosen({ abilities: savesNothing() }), "firecracker 1.2.3 cannot restore what it saves"],
    [chosen({ abilities: savesNothing("huge_pages") }), "firecracker cannot restore what it saves with huge_pages"],
  ];
  for (const [choice, reason] of cases) assert.deepEqual(await choice, ["qemu", reason]);
  assert.equal(probes, 0, "what QEMU's guests found out of KVM is not found out again");
});

test("one that is asked for is taken, or refused for what it cannot do", async () => {
  assert.deepEqual(await chosen({ check: fails("no") }, {}, { driver: "firecracker" }), ["firecracker", undefined]);
  assert.deepEqual(await chosen({}, {}, { driver: "qemu" }), ["qemu", undefined]);
  await assert.rejects(chosen({}, {}, { driver: "firecracker", hasVolumes: true }), { code: "DRIVE_UNSUPPORTED" });
  await assert.rejects(chosen({}, {}, { driver: "firecracker", hasUserCard: true }), { code: "NETWORK_UNSUPPORTED" });
  assert.deepEqual(await chosen({}, {}, { driver: "qemu", hasUserCard: true }), ["qemu", undefined]);
  const alone = new VmmDrivers([driverOf("qemu")]);
  await assert.rejects(alone.choose({ ...want, driver: "firecracker" }), { code: "VMM_NOT_FOUND" });
  assert.equal((await alone.choose(want)).driver.name, "qemu");
});

test("a wait that is given up is no reason for another driver", async () => {
  const controller = new AbortController();
  const chooseAccel = async () => {
    controller.abort();
    throw new FirebreakError("OPERATION_CANCELED", "cancelled");
  };
  await assert.rejects(chosen({ chooseAccel }, {}, { signal: controller.signal }), { code: "OPERATION_CANCELED" });
});
