import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let host: string;
before(async () => {
  fixture = await startDaemonFixture();
  host = folder("rw");
  writeFileSync(path.join(host, "a"), "from the host\n");
  mkdirSync(path.join(folder("ro"), "sub"));
  writeFileSync(path.join(folder("ro"), "sub", "file"), "read me\n");
  writeFileSync(path.join(folder("single"), "one.conf"), "1\n");
  await fixture.ok(
    ...["vm", "create", "dev", "--disk", "128", "--mount", `${host}:/src:rw`, "--mount", `${folder("ro")}:/data`],
    ...["--mount", `${path.join(folder("single"), "one.conf")}:/opt/one.conf:rw`],
  );
});
after(() => fixture.close());

function folder(name: string): string {
  const made = path.join(fixture.folder, "mounted", name);
  mkdirSync(made, { recursive: true });
  return made;
}
const inHost = (name: string) => path.join(host, name);
const sh = (script: string, vm = "dev") => fixture.cli(["vm", "exec", vm, "--", "bash", "-euc", script]);
async function ok(script: string, vm = "dev"): Promise<string> {
  const { exitCode, stdout, stderr } = await sh(script, vm);
  assert.equal(exitCode, 0, `${stderr}${stdout}`);
  return stdout;
}
const killDaemon = async () => process.kill((await fixture.client.status()).pid, "SIGKILL");

test("both sides see what the other writes, in a directory and in a single file", async () => {
  assert.equal(
    await ok("cat /src/a; echo from the guest > /src/b; mkdir /src/d; mv /src/b /src/d/b"),
    "from the host\n",
  );
  assert.equal(readFileSync(inHost("d/b"), "utf8"), "from the guest\n");
  writeFileSync(inHost("d/b"), "changed on the host");
  writeFileSync(inHost("d/c"), "new");
  assert.equal(await ok("sleep 1.2; cat /src/d/b /src/d/c; ls /src"), "changed on the hostnewa\nd\n");
  assert.equal(await ok("cat /opt/one.conf; echo 2 >> /opt/one.conf"), "1\n");
  assert.equal(readFileSync(path.join(folder("single"), "one.conf"), "utf8"), "1\n2\n");
  assert.equal(await ok("stat -c '%u:%g' /src/a; cd /src && pwd && ls -d ."), "0:0\n/src\n.\n");
});

test("what is mounted to be read is not written, whatever root in the guest does", async () => {
  assert.equal(await ok("cat /data/sub/file"), "read me\n");
  const attempts = ["echo x > /data/sub/file", "touch /data/new", "rm -r /data/sub", "chmod 777 /data/sub/file"];
  for (const script of [...attempts, "mount -o remount,rw /data && echo x > /data/sub/file"])
    assert.notEqual((await sh(script)).exitCode, 0, script);
  assert.deepEqual(readdirSync(folder("ro")), ["sub"]);
  assert.equal(readFileSync(path.join(folder("ro"), "sub/file"), "utf8"), "read me\n");
});

test("symlinks lead where they lead in the guest, and no name leads out", async () => {
  symlinkSync("/etc/hostname", inHost("outward"));
  symlinkSync("../../../../../../../../etc/passwd", inHost("upward"));
  const names = (await ok("hostname; cat /src/outward; cat /src/../etc/hostname")).trim().split("\n");
  assert.deepEqual(names, ["dev", "dev", "dev"]);
  assert.equal(await ok("ln -s /no/such/place /src/made; readlink /src/made"), "/no/such/place\n");
  assert.ok(lstatSync(inHost("made")).isSymbolicLink());
  assert.notEqual((await sh("mkfifo /src/fifo")).exitCode, 0);
});

test("git, sqlite with writers at once, and programs run from a mount work", async () => {
  const status = await ok(`mkdir /src/repo; cd /src/repo; git init -q .; echo 1 > f; git add .
    git -c user.name=a -c user.email=a@b commit -qm one; git clone -q . ../clone; cd ../clone; git fsck --strict 2>&1; git status --short; git log --format=%s`);
  assert.equal(status, "one\n");
  const rows = await ok(`cd /src; cat > w.py <<'EOF'
import sqlite3, multiprocessing
def work(n):
    c = sqlite3.connect("db", timeout=300)
    for i in range(20):
        with c: c.execute("insert into t values (?, ?)", (n, i))
sqlite3.connect("db").execute("create table t (a, b)")
ps = [multiprocessing.Process(target=work, args=(n,)) for n in range(3)]
for p in ps: p.start()
for p in ps: p.join()
c = sqlite3.connect("db")
print(c.execute("select count(*), count(distinct a) from t").fetchone(), c.execute("pragma integrity_check").fetchone()[0])
EOF
    python3 w.py; cp /bin/true ./true; ./true`);
  assert.equal(rows, "(60, 3) ok\n");
  const repo = await fixture.cli(["vm", "exec", "-w", "/src/repo", "dev", "--", "git", "log", "--format=%s"]);
  assert.equal(repo.stdout, "one\n");
});

test("ten thousand small files are listed and read in part; an archive of many is unpacked", {
  timeout: 600_000,
}, async () => {
  const many = folder("many");
  for (let index = 0; index < 10_000; index++) writeFileSync(path.join(many, `f${index}`), String(index));
  await fixture.ok("vm", "create", "files", "--disk", "128", "--mount", `${many}:/many:rw`);
  const counted = await ok("ls /many | wc -l; find /many -type f -size -2 | wc -l; cat /many/f77* | wc -c", "files");
  const expected = Array.from({ length: 10_000 }, (_, index) => String(index)).filter((name) => name.startsWith("77"));
  assert.equal(counted, `10000\n10000\n${expected.join("").length}\n`);
  const unpacked = await ok(
    `mkdir -p /tmp/p/node_modules; cd /tmp/p; for p in $(seq 20); do mkdir -p node_modules/p$p/lib; for f in $(seq 15); do echo "$p $f" > node_modules/p$p/lib/f$f.js; done; done
     tar cf /tmp/p.tar node_modules; mkdir /many/app; tar xf /tmp/p.tar -C /many/app; diff -r /tmp/p/node_modules /many/app/node_modules && find /many/app -type f | wc -l; rm -r /many/app`,
    "files",
  );
  assert.equal(unpacked, "300\n");
  assert.ok(!existsSync(path.join(many, "app")));
  await fixture.ok("vm", "delete", "files");
});

test("a daemon that is killed in the midst of a guest's writes costs none of them", async () => {
  const script = `exec 3>/src/log; for i in $(seq 1 160); do echo line $i >&3; mkdir /src/dir$i; echo $i > /src/dir$i/f; mv /src/dir$i /src/moved$i; done; echo done > /src/done`;
  const started = await fixture.ok("vm", "exec", "--detach", "dev", "--", "bash", "-euc", script);
  assert.match(started.stdout, /\S/);
  const lines = () => (existsSync(inHost("log")) ? readFileSync(inHost("log"), "utf8").split("\n").length - 1 : 0);
  for (const atLeast of [20, 80]) {
    await waitFor(() => lines() >= atLeast);
    await killDaemon();
    await fixture.ok("vm", "list");
  }
  await waitFor(() => existsSync(inHost("done")), 300_000);
  const expected = Array.from({ length: 160 }, (_, index) => `line ${index + 1}\n`).join("");
  assert.equal(readFileSync(inHost("log"), "utf8"), expected);
  for (let index = 1; index <= 160; index++)
    assert.equal(readFileSync(inHost(`moved${index}/f`), "utf8"), `${index}\n`);
  assert.equal(readdirSync(host).filter((name) => name.startsWith("dir")).length, 0);
});

test("mounts are there again after a stop and a suspension, and vm get shows them", async () => {
  await fixture.ok("vm", "suspend", "dev");
  writeFileSync(inHost("a"), "while it was suspended\n");
  assert.equal(await ok("cat /src/a"), "while it was suspended\n");
  await fixture.ok("vm", "stop", "dev");
  await fixture.ok("vm", "start", "dev");
  assert.equal(await ok("cat /src/a /data/sub/file"), "while it was suspended\nread me\n");
  const { mounts } = await fixture.client.vms.get("dev");
  assert.deepEqual(mounts[0], { hostPath: host, guestPath: "/src", access: "rw" });
  assert.match((await fixture.ok("vm", "get", "dev")).stdout, /mounts +\S+rw at \/src \(rw\)/);
});

test("a fork sees nothing of its parent's mounts unless it is given them, and then what was open goes on", async () => {
  const writer = `cd /src; exec 3>>kept; i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i >&3 2>/dev/null || true; sleep 0.2; done; echo ended >&3`;
  await fixture.ok("vm", "exec", "--detach", "dev", "--", "bash", "-uc", writer);
  await waitFor(() => existsSync(inHost("kept")));
  await fixture.ok("snapshot", "create", "dev", "with-mounts");
  await fixture.ok("vm", "stop", "--force", "dev");
  await fixture.ok("snapshot", "fork", "with-mounts", "bare");
  const refused = await sh("cat /src/a", "bare");
  assert.notEqual(refused.exitCode, 0);
  assert.match(refused.stderr, /Input\/output error/);
  assert.deepEqual((await fixture.client.vms.get("bare")).mounts, []);
  const other = folder("other");
  writeFileSync(path.join(other, "a"), "of the other\n");
  writeFileSync(path.join(other, "kept"), "");
  await fixture.ok("snapshot", "fork", "with-mounts", "given", "--mount", `${other}:/src:rw`);
  assert.equal(await ok("sleep 1.2; cat /src/a", "given"), "of the other\n");
  writeFileSync(path.join(other, "stop"), "");
  await waitFor(() => readFileSync(path.join(other, "kept"), "utf8").endsWith("ended\n"));
  await fixture.ok("vm", "delete", "bare", "given");
});

test("host paths that no VM is to see are refused, and so is a place that the guest's agent needs", async () => {
  const cases = [
    ["/", "MOUNT_PATH_REFUSED"],
    ["/proc/self", "MOUNT_PATH_REFUSED"],
    [fixture.paths.home, "MOUNT_PATH_REFUSED"],
    [`${host}:/etc/x`, "INVALID_ARGUMENT"],
    [`${host}:/proc/x`, "INVALID_ARGUMENT"],
    [path.join(host, "missing"), "HOST_PATH_NOT_FOUND"],
  ] as const;
  for (const [mount, code] of cases) {
    const target = mount.includes(":") ? mount : `${mount}:/mnt/x`;
    const result = await fixture.cli(["vm", "create", "never", "--disk", "128", "--mount", target, "--json"]);
    assert.notEqual(result.exitCode, 0);
    assert.match(result.stderr + result.stdout, new RegExp(code), mount);
  }
});
