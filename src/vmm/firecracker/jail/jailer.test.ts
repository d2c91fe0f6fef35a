import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { MachineConfig } from "../../driver.ts";
import { makeOpenRoot } from "../spawn.ts";
import { detectCgroupVersion, type JailSettings, jailerCommand, jailRoot } from "./jailer.ts";

/** The jailer's arguments as its source declares them (src/jailer/src/main.rs); test/fixtures/firecracker/README.md says how that was taken. */
const documented = JSON.parse(
  readFileSync(
    fileURLToPath(new URL("../../../../test/fixtures/firecracker/jailer-arguments.json", import.meta.url)),
    "utf8",
  ),
) as { name: string; takesValue: boolean; isRequired: boolean }[];

/** Arguments that a text of --help tells of, and whether each takes a value. */
function readHelp(program: string): Map<string, boolean> {
  const file = new URL(`../../../../test/fixtures/firecracker/${program}-help-1.12.1.txt`, import.meta.url);
  const lines = readFileSync(fileURLToPath(file), "utf8").matchAll(/^ {2}--([a-z-]+)( <[a-z-]+>)? /gm);
  return new Map(Array.from(lines, ([, name, value]) => [name as string, value !== undefined]));
}

const settings: JailSettings = {
  jailer: "/opt/fc/jailer",
  firecracker: "/opt/fc/firecracker-v1.16.1-x86_64",
  id: "vm-0a1b",
  uid: 960_000_001,
  gid: 960_000_001,
  baseDir: "/var/lib/fb",
  cgroupVersion: 2,
  parentCgroup: "firebreak",
  memoryMib: 512,
  cpus: 2,
};

function readArguments(command: string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const own = command.slice(1, command.indexOf("--"));
  for (let at = 0; at < own.length; at++) {
    const name = (own[at] as string).replace(/^--/, "");
    const argument = documented.find((candidate) => candidate.name === name);
    assert.ok(argument, `the jailer has no --${name}`);
    const values = found.get(name) ?? [];
    found.set(name, argument.takesValue ? [...values, own[++at] as string] : values);
  }
  return found;
}

test("each argument is one that the jailer has, with a value where it takes one, and none that it needs is missing", () => {
  for (const version of [1, 2] as const) {
    const given = readArguments(jailerCommand({ ...settings, cgroupVersion: version, netns: "/run/netns/fb" }));
    for (const { name, isRequired } of documented) if (isRequired) assert.ok(given.has(name), name);
    assert.deepEqual(given.get("uid"), ["960000001"]);
    assert.deepEqual(given.get("netns"), ["/run/netns/fb"]);
    assert.deepEqual(given.get("cgroup-version"), [String(version)]);
    for (const limit of given.get("cgroup") ?? []) assert.match(limit, /^[a-z_.]+=[0-9 ]+$/);
    assert.equal(given.get("cgroup")?.length, 3);
  }
  assert.ok(!readArguments(jailerCommand(settings)).has("netns"));
});

test("what is Firecracker's comes behind the jailer's, without the id that the jailer adds", () => {
  const command = jailerCommand(settings);
  assert.deepEqual(command.slice(command.indexOf("--")), ["--", "--api-sock", "/api"]);
  assert.equal(jailRoot(settings), "/var/lib/fb/firecracker-v1.16.1-x86_64/vm-0a1b/root");
});

test("what the jailer would refuse is refused before anything is made", () => {
  for (const changes of [
    { id: "a_b" },
    { id: "" },
    { id: "x".repeat(65) },
    { firecracker: "/opt/vmm" },
    { parentCgroup: "../other" },
    { parentCgroup: "/abs" },
    { uid: 0 },
    { gid: 0 },
  ])
    assert.throws(
      () => jailerCommand({ ...settings, ...changes }),
      { code: "INVALID_ARGUMENT" },
      JSON.stringify(changes),
    );
});

test("a host with controllers of both versions is one of version 1", () => {
  const two = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nproc /proc proc rw 0 0\n";
  assert.equal(detectCgroupVersion(two), 2);
  assert.equal(detectCgroupVersion(`${two}cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n`), 1);
  assert.equal(detectCgroupVersion(""), 1);
});

test("a release's own --help has each argument, with a value where one is given", async () => {
  const jailer = readHelp("jailer");
  for (const { name, takesValue } of documented) assert.equal(jailer.get(name), takesValue, name);
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-help-"));
  try {
    const machine = { vmId: "vm-1", runtimeDir: folder, drives: [] as MachineConfig["drives"] } as MachineConfig;
    const open = await makeOpenRoot(machine, "/opt/firecracker", {});
    const jailed = jailerCommand(settings);
    const firecracker = readHelp("firecracker");
    for (const own of [open.slice(1), jailed.slice(jailed.indexOf("--") + 1)])
      for (let at = 0; at < own.length; at += 2) {
        assert.equal(firecracker.get((own[at] as string).replace(/^--/, "")), true, own[at]);
        assert.doesNotMatch(own[at + 1] as string, /^--/);
      }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
