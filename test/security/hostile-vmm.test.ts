import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { hashFile } from "../../src/images/digest.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/**
 * A guest that has taken its QEMU over: what that user can do to what other VMs are forked from, tried from outside its sandbox, which
 * is more than it could.
 */
const ATTACKER = `
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static void say(const char *what, const char *where, int failed) {
  printf("%s\\t%s\\t%s\\n", failed ? strerrorname_np(errno) : "done", what, where);
}
static void attack(const char *file, const char *name) {
  char byte = 'x';
  int fd = open(file, O_RDWR);
  say("open", name, fd < 0);
  if (fd < 0) return;
  say("write", name, pwrite(fd, &byte, 1, 0) != 1);
  say("cut", name, ftruncate(fd, 0) != 0);
  say("lengthen", name, ftruncate(fd, 1L << 40) != 0);
  say("punch", name, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
  say("unseal", name, fcntl(fd, F_ADD_SEALS, 0) != 0);
  char *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  say("map", name, shared == MAP_FAILED);
  char *readable = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (readable != MAP_FAILED) say("make-writable", name, mprotect(readable, 4096, PROT_READ | PROT_WRITE) != 0);
  close(fd);
}
int main(int count, char **words) {
  char folder[64], file[512], target[512];
  int memories = 0;
  snprintf(folder, sizeof folder, "/proc/%s/fd", words[1]);
  DIR *fds = opendir(folder);
  if (fds == NULL) return perror(folder), 2;
  for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
    snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
    ssize_t length = readlink(file, target, sizeof target - 1);
    if (length < 0) continue;
    target[length] = 0;
    if (strstr(target, "memfd:firebreak-memory")) memories++, attack(file, "memory");
    if (strstr(target, "rootfs.")) attack(file, "image");
  }
  closedir(fds);
  printf("%d\\tmemories\\t\\n", memories);
  for (int index = 3; index < count; index++) attack(words[index], words[index]);
  say("kill", "the other VM", kill(atoi(words[2]), 0) != 0);
  snprintf(file, sizeof file, "/proc/%s/mem", words[2]);
  say("open", "the other VM's memory", open(file, O_RDWR) < 0);
}
`;

const needsRoot = process.getuid?.() === 0 ? false : "only a root daemon gives VMs users of their own";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

test("a VMM that its guest has taken over cannot change what others are forked from", { skip: needsRoot }, async () => {
  const create = (name: string) => fixture.client.vms.create({ name, memoryMib: 256, accel: "tcg" });
  const [one, two] = [await create("one"), await create("two")];
  const template = path.join(fixture.paths.templates, readdirSync(fixture.paths.templates)[0] as string);
  const files = readdirSync(template).map((name) => path.join(template, name));
  const digest = async () => Promise.all(files.map((file) => hashFile(file)));
  const before = await digest();

  const program = path.join(fixture.folder, "attacker");
  execFileSync("cc", ["-x", "c", "-", "-o", program], { input: ATTACKER });
  const uid = Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${one.pid}/status`, "utf8"))?.[1]);
  assert.ok(uid > 0, "a user of its own");
  const attack = spawnSync(program, [String(one.pid), String(two.pid), ...files], { uid, gid: uid, encoding: "utf8" });
  assert.equal(attack.status, 0, attack.stderr);
  const tried = attack.stdout
    .trim()
    .split("\n")
    .map((line) => line.split("\t") as [string, string, string]);
  const outcomes = (where: string) => tried.filter((entry) => entry[2] === where);
  const memories = tried.find((entry) => entry[1] === "memories");
  assert.ok(Number(memories?.[0]) > 0, "the attack found the memory that was lent");
  // Opening sealed memory for writing is allowed, and does not help.
  const harms = outcomes("memory").filter(([, what]) => what !== "open");
  assert.ok(new Set(harms.map(([, what]) => what)).size >= 6, `too little was tried: ${attack.stdout}`);
  assert.deepEqual(
    harms.filter(([outcome]) => outcome === "done"),
    [],
  );
  for (const where of [...files, "image", "the other VM", "the other VM's memory"]) {
    assert.ok(outcomes(where).length > 0, `nothing was tried on ${where}`);
    assert.deepEqual(
      outcomes(where).filter(([outcome]) => outcome === "done"),
      [],
      where,
    );
  }

  assert.deepEqual(await digest(), before);
  await create("three");
  const { body } = await fixture.client.files.read("three", "/etc/hostname");
  assert.equal((await text(body)).trim(), "three");
});

test("what is forked from lies where only the daemon's user can look", { skip: needsRoot }, async () => {
  const uid = 65_534;
  for (const folder of [fixture.paths.templates, fixture.paths.snapshots, fixture.paths.vms]) {
    const look = spawnSync("ls", [folder], { uid, gid: uid, encoding: "utf8" });
    assert.notEqual(look.status, 0, folder);
    assert.match(look.stderr, /Permission denied/);
  }
});
