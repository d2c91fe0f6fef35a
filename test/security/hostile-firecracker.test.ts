import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { chown, link, mkdir, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { runCommand } from "../../src/platform/process.ts";
import type { MachineConfig } from "../../src/vmm/driver.ts";
import { closeJail } from "../../src/vmm/firecracker/jail/jail.ts";
import { jailedPlace } from "../../src/vmm/firecracker/jail/saves.ts";
import { portSocket, rootOf, VSOCK_PORTS } from "../../src/vmm/firecracker/layout.ts";

/** A Firecracker that its guest has taken over, with what its jail leaves it: its user, and the folders that are its user's. */
const UID = 960_200_000;
const isRoot = process.getuid?.() === 0;
let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-hostile-fc-"));
  chmodSync(folder, 0o755);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command as the VMM's user. */
const asVmm = (...argv: string[]) =>
  runCommand("setpriv", [`--reuid=${UID}`, `--regid=${UID}`, "--clear-groups", "--inh-caps=-all", ...argv], {
    allowFailure: true,
  });

async function openJail(name: string): Promise<{ runtimeDir: string; close: () => void }> {
  const runtimeDir = path.join(folder, name);
  const root = path.join(runtimeDir, "firecracker", "vm", "root");
  await mkdir(root, { recursive: true });
  await symlink("firecracker/vm/root", rootOf(runtimeDir));
  const sockets = [`${root}/api`, `${root}/vsock`];
  for (const port of Object.values(VSOCK_PORTS)) sockets.push(portSocket(runtimeDir, port));
  const servers = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(socket, () => resolve(server));
        }),
    ),
  );
  await runCommand("mkfifo", [`${root}/console`]);
  await chown(root, UID, UID);
  return {
    runtimeDir,
    close: () => {
      for (const server of servers) server.close();
    },
  };
}

test("what a VMM puts in the place of its sockets and its console is found before its guest runs", {
  skip: !isRoot,
}, async () => {
  for (const name of ["api", "vsock", `vsock_${VSOCK_PORTS.control}`, `vsock_${VSOCK_PORTS.egress}`, "console"]) {
    const { runtimeDir, close } = await openJail(`swap-${name}`);
    const file = `${rootOf(runtimeDir)}/${name}`;
    assert.equal((await asVmm("sh", "-c", `rm -f ${file} && ln -s /run/other.sock ${file}`)).exitCode, 0);
    await assert.rejects(closeJail(runtimeDir), {
      code: "VMM_START_FAILED",
      message: /something else in the place of/,
    });
    close();
  }
});

test("in a jail that is closed a VMM can put nothing in the place of anything", { skip: !isRoot }, async () => {
  const { runtimeDir, close } = await openJail("closed");
  const root = rootOf(runtimeDir);
  assert.equal((await asVmm("touch", `${root}/before`)).exitCode, 0);
  await closeJail(runtimeDir);
  for (const command of [`rm -f ${root}/api`, `mv ${root}/api ${root}/old`, `ln -s / ${root}/new`, `mkdir ${root}/d`])
    assert.notEqual((await asVmm("sh", "-c", command)).exitCode, 0, command);
  assert.ok(statSync(`${root}/api`).isSocket());
  close();
});

test("a VMM that saves something else than files of its own has them not taken", { skip: !isRoot }, async () => {
  const secret = path.join(folder, "secret");
  await writeFile(secret, "secret", { mode: 0o644 });
  const plants: Record<string, (file: string) => Promise<unknown>> = {
    "a link to a file of the host": (file) => asVmm("ln", "-s", secret, file),
    "a pipe that nobody writes to": (file) => asVmm("mkfifo", file),
    "a folder": (file) => asVmm("mkdir", file),
    "another name of a file that it may only read": (file) => link(secret, file),
    "a file of somebody else": (file) => writeFile(file, "x"),
  };
  for (const [what, plant] of Object.entries(plants)) {
    const own = mkdtempSync(path.join(folder, "saves-"));
    chmodSync(own, 0o755);
    const exchangeDir = path.join(own, "exchange");
    await mkdir(exchangeDir, { mode: 0o700 });
    const config = { uid: UID, exchangeDir, logPath: path.join(own, "log") } as MachineConfig;
    const target = { memoryPath: path.join(own, "m"), statePath: path.join(own, "s") };
    const place = jailedPlace(config, { ...target, scratchDir: own, copies: [], afterwards: "continue" });
    await place.open();
    await plant(path.join(exchangeDir, "memory"));
    await assert.rejects(place.take(), { code: "SNAPSHOT_FAILED" }, what);
    assert.throws(() => statSync(target.memoryPath), { code: "ENOENT" }, what);
    assert.equal(await readFile(secret, "utf8"), "secret");
    assert.equal(statSync(secret).uid, 0, what);
    // It is closed to the VMM, until the next save begins with an empty one.
    assert.notEqual((await asVmm("touch", path.join(exchangeDir, "more"))).exitCode, 0);
    await place.open();
    await asVmm("sh", "-c", `echo memory > ${exchangeDir}/memory; echo state > ${exchangeDir}/state`);
    await place.take();
    assert.equal(await readFile(target.memoryPath, "utf8"), "memory\n");
    await rm(own, { recursive: true });
  }
});

/** A folder for saves, and what is to be taken from it. */
async function openSaves() {
  const own = mkdtempSync(path.join(folder, "saves-"));
  chmodSync(own, 0o755);
  const exchangeDir = path.join(own, "exchange");
  await mkdir(exchangeDir, { mode: 0o700 });
  const config = { uid: UID, exchangeDir, logPath: path.join(own, "log"), memoryMib: 1 } as MachineConfig;
  const target = { memoryPath: path.join(own, "m"), statePath: path.join(own, "s") };
  return {
    own,
    exchangeDir,
    target,
    place: jailedPlace(config, { ...target, scratchDir: own, copies: [], afterwards: "end" }),
  };
}

test("a VMM that saves more than there is of a machine has it not taken, nor read", { skip: !isRoot }, async () => {
  for (const name of ["memory", "state"]) {
    const { exchangeDir, target, place } = await openSaves();
    await place.open();
    for (const each of ["memory", "state"])
      await asVmm("truncate", "-s", each === name ? "2G" : "1M", path.join(exchangeDir, each));
    await assert.rejects(place.take(), {
      code: "SNAPSHOT_FAILED",
      message: new RegExp(`${name} as a file of 2147483648`),
    });
    assert.equal(existsSync(name === "memory" ? target.memoryPath : target.statePath), false);
    assert.deepEqual(readdirSync(exchangeDir), []);
  }
});

test("a VMM that has a folder open in that of its saves cannot write on in it once it is closed", {
  skip: !isRoot,
}, async () => {
  const { own, exchangeDir, place } = await openSaves();
  await place.open();
  // It is in the folder before it is closed, and writes to where it is when it is told to.
  const told = path.join(own, "told");
  await runCommand("mkfifo", ["-m", "666", told]);
  await asVmm("sh", "-c", `mkdir -p ${exchangeDir}/a; echo m > ${exchangeDir}/memory; echo s > ${exchangeDir}/state`);
  const writer = asVmm("sh", "-c", `cd ${exchangeDir}/a && read go < ${told}; echo more > more`);
  // Opening the pipe waits for its reader.
  const pipe = await open(told, "w");
  await place.take();
  await pipe.write("go\n");
  await pipe.close();
  assert.notEqual((await writer).exitCode, 0);
  assert.deepEqual(readdirSync(exchangeDir), []);
});
