import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import type { ServerMount } from "../../src/contract/server.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { shellOf } from "../support/mcp-servers/shell-client.ts";
import { SHELL_PROGRAM } from "../support/mcp-servers/shell-server.ts";
import { readFiles, writeFiles } from "../support/workspace-service.ts";

/** Two servers with live mounts of their own, of which one does what it can to get beyond its own. */

const SECRET = "of-this-host-alone";
let fixture: DaemonFixture;
let hostile: Client;
let other: Client;
let run: (command: string) => Promise<string>;

/** A path of this host below the folder that holds what both servers see. */
const host = (...names: string[]) => path.join(fixture.folder, "host", ...names);
const live = (name: string, at: string, access: ServerMount["access"]): ServerMount => ({
  path: host(name),
  at,
  access,
  mode: "live",
});

before(async () => {
  fixture = await startDaemonFixture();
  writeFiles(host(), {
    secret: SECRET,
    "work/mine": "mine",
    "work/sub/deep": "deep",
    "read/r": "read me",
    "read/d/e": "1",
    "theirs/t": `theirs: ${SECRET}`,
    "single/one": "one",
    "single/two": SECRET,
  });
  // Links that were in the folder before the server was.
  symlinkSync(host("secret"), host("work", "absolute"));
  symlinkSync("../secret", host("work", "upward"));
  symlinkSync("../theirs", host("work", "beside"));
  symlinkSync("/", host("work", "root"));
  symlinkSync("/proc/self/root", host("work", "magic"));
  const mounts = [live("work", "/srv/work", "rw"), live("read", "/srv/read", "ro")];
  const single: ServerMount = { path: host("single", "one"), at: "/srv/one", access: "ro", mode: "live" };
  await fixture.client.servers.apply({
    source: "e2e",
    servers: [
      vmServer("hostile", SHELL_PROGRAM, { mounts: [...mounts, single] }),
      vmServer("other", SHELL_PROGRAM, { mounts: [live("theirs", "/srv/theirs", "rw")] }),
    ],
  });
  const open = await serveGateway(fixture);
  const options = ERAS[0]?.options ?? {};
  [hostile, other] = [await open("hostile", options), await open("other", options)];
  run = shellOf(hostile);
});
after(async () => {
  for (const client of [hostile, other]) await client?.close();
  await fixture?.close();
});

test("each server has its own paths, live, and only those", async () => {
  assert.equal(
    await run("cat /srv/work/mine /srv/work/sub/deep /srv/read/r /srv/one; ls /srv"),
    "minedeepread meoneone\nread\nwork\n",
  );
  assert.equal(await shellOf(other)("cat /srv/theirs/t; ls /srv"), `theirs: ${SECRET}theirs\n`);
  writeFileSync(host("work", "mine"), "changed on the host");
  assert.equal(await run("sleep 1.2; cat /srv/work/mine; echo by the server > /srv/work/made"), "changed on the host");
  assert.equal(readFileSync(host("work", "made"), "utf8"), "by the server\n");
});

test("no `..`, and no link that was there before it, leads to this host or to another server's path", async () => {
  const places = [
    ...["/srv/work/../secret", "/srv/work/sub/../../secret", "/srv/work/../theirs/t", "/srv/theirs/t", "/srv/two"],
    ...["absolute", "upward", "beside/t", `root${host("secret")}`, `magic${host("secret")}`, "upward/../secret"].map(
      (name) => `/srv/work/${name}`,
    ),
    ...[host("secret"), host("theirs", "t"), `/srv/work${host("secret")}`, `/proc/1/root${host("secret")}`],
  ];
  for (const place of places)
    assert.match(await run(`cat '${place}' 2>&1 || true`), /: (?:No such file|Not a directory)/, place);
  // What it writes there is in its own VM.
  await run(places.map((place) => `(echo x > '${place}') 2>/dev/null || true`).join("; "));
  assert.deepEqual(
    ["secret", "theirs/t", "single/two"].map((name) => readFileSync(host(name), "utf8")),
    [SECRET, `theirs: ${SECRET}`, SECRET],
  );
});

test("links and folders that it plants lead nowhere on this host, not even those that it swaps as they are used", async () => {
  const said = await run(
    `cd /srv/work; { ln -s ${host("secret")} planted; ln -s ${host()} folder; ln -s ../../.. up; cat planted folder/secret up/secret
     ln -P absolute hard && cat hard; mv sub away; ln -s ${host("theirs")} sub; cat sub/t; echo x > sub/t
     mount --bind /srv/work /mnt && cat /mnt/../secret /mnt/upward; mkdir -p a/b && cd a/b && mv ../../a/b /srv/work/b; cat ../../secret
     python3 - <<'PY'
import os, threading
os.chdir("/srv/work")
os.makedirs("race", exist_ok=True)
open("race/secret", "w").write("own")
stop = False
def swap():
    while not stop:
        try:
            os.rename("race", "kept"); os.symlink("${host()}", "race"); os.unlink("race"); os.rename("kept", "race")
        except OSError: pass
thread = threading.Thread(target=swap); thread.start()
seen = set()
for _ in range(150):
    try: seen.add(open("race/secret").read())
    except OSError: pass
stop = True; thread.join()
print("race", sorted(seen))
PY
     } 2>&1 || true`,
  );
  assert.match(said, /race \[(?:'own')?\]/);
  assert.doesNotMatch(said, new RegExp(SECRET));
  assert.equal(readFileSync(host("theirs", "t"), "utf8"), `theirs: ${SECRET}`);
});

test("what it may only read stays as it is, though it is root and its mount is writable to its kernel", async () => {
  const state = () => {
    const { mode, uid, gid, mtimeMs } = statSync(host("read", "r"));
    return { ...readFiles(host("read")), ...readFiles(host("single")), mode, uid, gid, mtimeMs };
  };
  const before = state();
  const attempts = [
    ...["echo x > r", "echo x >> r", "touch new", "mkdir n", "rm r", "rm -r d", "mv r s", "ln r l", "ln -s r l"],
    ...["chmod 777 r", "truncate -s 0 r", "touch -d @1 r", "cp /srv/work/mine d/e", "mv /srv/work/mine ."],
    `python3 -c 'import os; os.ftruncate(os.open("r", os.O_RDWR), 0)'`,
    `python3 -c 'import os; os.setxattr("r", "user.a", b"1")'`,
    `python3 -c 'import mmap, os; m = mmap.mmap(os.open("r", os.O_RDONLY), 4, prot=mmap.PROT_WRITE | mmap.PROT_READ); m[0:1] = b"X"; m.flush()'`,
    "echo x > /srv/one",
  ];
  const each = (script: string) => `(${script}) 2>/dev/null && echo 'done: ${script.replaceAll("'", "")}'`;
  const all = attempts.map(each).join("; ");
  for (const first of ["true", "mount -o remount,rw /srv/read; mount -o remount,rw /srv/one"])
    assert.doesNotMatch(await run(`cd /srv/read; ${first}; { ${all}; } || true`), /done/, first);
  assert.match(await run("grep ' /srv/read ' /proc/mounts"), / rw,/);
  // Owners are nobody's to change in any mount: asked for others, the host does nothing.
  await run("chown 1:1 /srv/read/r || true");
  assert.deepEqual(state(), before);
  assert.equal(await run("cat /srv/read/r /srv/one"), "read meone");
});

test("what this host moves or links within its folder afterwards opens nothing to it", async () => {
  // The folder itself is now somewhere else, and a link to another one in its place.
  renameSync(host("read"), host("read-before"));
  symlinkSync(host("theirs"), host("read"));
  const said = await run("{ cat /srv/read/t; ls /srv/read; cat /srv/read/r; } 2>&1 || true");
  assert.doesNotMatch(said, new RegExp(SECRET));
  rmSync(host("read"));
  renameSync(host("read-before"), host("read"));
  // The other server has noticed none of all this.
  assert.equal(await shellOf(other)("cat /srv/theirs/t"), `theirs: ${SECRET}`);
  mkdirSync(host("later"));
  assert.match(await run("ls /srv/later 2>&1 || true"), /No such file/);
  assert.ok(!existsSync(host("new")));
});
