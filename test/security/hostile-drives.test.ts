import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Header } from "tar";
import { HostDriveFiles } from "../../src/images/drive-files.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hasCode } from "../support/has-code.ts";
import { startHttpGuest } from "../support/hostile-guest.ts";
import { waitFor } from "../support/wait-for.ts";

const needsRoot = process.getuid?.() === 0 ? false : "only a root daemon gives VMs users of their own, and mounts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.cli(["kernel", "use", "stock"]);
});
after(() => fixture.close());

/** What a QEMU's user can do with what that QEMU has open of drives, from outside its sandbox. */
function tryDescriptors(pid: number, asPid = pid): Record<string, string> {
  const uid = Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${asPid}/status`, "utf8"))?.[1]);
  assert.ok(uid > 0, "a user of its own");
  const script = `for fd in /proc/${pid}/fd/*; do
    name=$(readlink "$fd") || continue
    case $name in *attached-d-*) ;; *) continue ;; esac
    if (exec 3<>"$fd") 2>/dev/null; then did=writes; else did=reads; fi
    if ! (exec 3<"$fd") 2>/dev/null; then did=nothing; fi
    echo "$did $name"
  done; ls /proc/${pid}/fd/3/ 2>/dev/null | sed 's/^/folder /'`;
  const { stdout } = spawnSync("sh", ["-c", script], { uid, gid: uid, encoding: "utf8" });
  return Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [did = "", name = ""] = line.split(" ");
        return [/attached-d-([0-9a-f]+)/.exec(name)?.[1] ?? name, did];
      }),
  );
}

test("a VMM that its guest has taken over writes to the drives that it may write to, and to no others", {
  skip: needsRoot,
}, async () => {
  const { client } = fixture;
  const create = (name: string) => client.vms.create({ name, memoryMib: 256, accel: "tcg" });
  const [one, two] = [await create("one"), await create("two")];
  const [own, shared] = [await client.drives.create({ name: "own" }), await client.drives.create({ name: "shared" })];
  await client.drives.attach("one", { drive: "own" });
  await client.drives.attach("one", { drive: "shared", readOnly: true });
  await client.drives.attach("two", { drive: "shared", readOnly: true });
  // Nothing is left in the folder through which they came.
  assert.deepEqual(tryDescriptors(one.pid as number), { [own.id]: "writes", [shared.id]: "reads" });
  assert.deepEqual(tryDescriptors(two.pid as number), { [shared.id]: "reads" });
  assert.deepEqual(tryDescriptors(one.pid as number, two.pid), {}, "another VM's user gets at none of it");
  await client.drives.detach("one", "own", false);
  await client.drives.detach("one", "shared", false);
  assert.deepEqual(tryDescriptors(one.pid as number), {});
  for (const name of ["one", "two"]) await client.vms.delete(name);
});

test("drives lie where only the daemon's user can look", { skip: needsRoot }, () => {
  const look = spawnSync("ls", [fixture.paths.drives], { uid: 65_534, gid: 65_534, encoding: "utf8" });
  assert.match(look.stderr, /Permission denied/);
});

describe("an agent of a guest's own making", () => {
  const answering = (body: unknown) =>
    startHttpGuest((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(typeof body === "string" ? body : JSON.stringify(body));
    });

  test("is believed no device that is none", async () => {
    for (const body of [
      { device: "/dev/../etc/shadow", sizeBytes: 1 },
      { device: "/dev/sda\u001b[2J", sizeBytes: 1 },
      { device: "/dev/sda", sizeBytes: -1 },
      { device: "/dev/sda", sizeBytes: 1e300 },
      { device: ["/dev/sda"], sizeBytes: 1 },
      null,
      "{",
      `{"device":"/dev/sda","sizeBytes":1,"more":"${"x".repeat(17 * 1024 * 1024)}"}`,
    ]) {
      const guest = await answering(body);
      try {
        await assert.rejects(guest.client.driveAttach("d-1", {}), hasCode("GUEST_PROTOCOL_ERROR"));
      } finally {
        guest.close();
      }
    }
  });

  test("that never answers is waited for as long as it gets, and no longer", async () => {
    const guest = await startHttpGuest(() => {});
    try {
      await assert.rejects(guest.client.driveDetach("d-1", false, { deadlineMs: 200 }), hasCode("GUEST_UNREACHABLE"));
    } finally {
      guest.close();
    }
  });
});

function tarOf(
  entries: {
    path: string;
    type?: "File" | "SymbolicLink" | "Link" | "CharacterDevice";
    linkpath?: string;
    size?: number;
    content?: string;
  }[],
): Buffer {
  const blocks = entries.map(({ path: name, type = "File", linkpath, content = "", size = content.length }) => {
    const head = Buffer.alloc(512);
    new Header({ path: name, type, size, mode: 0o644, ...(linkpath === undefined ? {} : { linkpath }) }).encode(
      head,
      0,
    );
    return content === "" ? head : Buffer.concat([head, Buffer.from(content.padEnd(512, "\0"))]);
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

describe("content from a hostile caller", () => {
  const left = () => readdirSync(fixture.paths.drives);
  const upload = (content: "raw" | "tar", body: Buffer, sizeMib?: number) =>
    fixture.client.drives.createFrom(
      { name: "bad", content, ...(sizeMib === undefined ? {} : { sizeMib }) },
      Readable.from([body]),
    );

  test("leaves its place by no entry, and leaves nothing", async () => {
    const before = left();
    for (const entries of [
      [{ path: "../../escaped" }],
      [{ path: "/etc/escaped" }, { path: "../escaped" }],
      [{ path: "link", type: "SymbolicLink" as const, linkpath: "/tmp" }, { path: "link/escaped" }],
      [{ path: "hard", type: "Link" as const, linkpath: "/etc/passwd" }],
      [{ path: "huge", size: 2 ** 33 }],
    ])
      await assert.rejects(upload("tar", tarOf(entries)), hasCode("ARCHIVE_INVALID", "ARCHIVE_TOO_LARGE"));
    await assert.rejects(upload("tar", Buffer.from("no archive at all".repeat(100))), hasCode("ARCHIVE_INVALID"));
    assert.deepEqual(left(), before);
    // Devices are left out rather than made.
    const drive = await upload("tar", tarOf([{ path: "dev", type: "CharacterDevice" }]));
    assert.equal(drive.format, "ext4");
    await fixture.client.drives.delete("bad");
    assert.deepEqual(left(), before);
  });

  test("that does not fit is refused, whatever it says of itself", async () => {
    await assert.rejects(upload("raw", Buffer.alloc(17 * 2 ** 20, 1), 16), hasCode("INVALID_ARGUMENT"));
    const many = tarOf([...Array(5_000).keys()].map((count) => ({ path: `f${count}`, content: "x" })));
    await assert.rejects(upload("tar", many, 16), hasCode("INVALID_ARGUMENT"));
    await assert.rejects(fixture.client.drives.get("bad"), hasCode("DRIVE_NOT_FOUND"));
    // Without a size it is as large as it has to be.
    assert.ok((await upload("tar", many)).sizeMib >= 64);
    await fixture.client.drives.delete("bad");
  });

  test("whose caller hangs up half-way leaves no drive and no name", async () => {
    const request = http.request({
      socketPath: fixture.paths.socket,
      method: "PUT",
      path: "/v1/drives/cut?content=raw",
      headers: { "content-length": String(64 * 2 ** 20) },
    });
    request.on("error", () => {});
    request.write(Buffer.alloc(2 ** 20, 1));
    await waitFor(() => left().some((name) => name.endsWith(".new")));
    request.destroy();
    await waitFor(() => left().every((name) => !name.endsWith(".new")));
    await sleep(50);
    await fixture.client.drives.create({ name: "cut" });
    await fixture.client.drives.delete("cut");
  });

  test("is told apart from a path: nothing of the daemon's host is read for a caller", async () => {
    for (const query of [
      "",
      "?content=/etc/passwd",
      "?content=raw&sizeMib=1e9",
      "?content=raw&sizeMib=-1",
      "?content=raw&sizeMib=1",
    ]) {
      const status = await new Promise<number>((resolve, reject) => {
        const { socket: socketPath } = fixture.paths;
        const request = http.request({ socketPath, method: "PUT", path: `/v1/drives/odd${query}` }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.once("error", reject);
        request.end("x");
      });
      assert.equal(status, 400, query);
    }
  });
});

test("a full disk is said to be full, and no part of a drive is left on it", { skip: needsRoot }, async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-full-"));
  const small = path.join(folder, "small");
  mkdirSync(small);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", small]);
  try {
    const files = new HostDriveFiles();
    const file = path.join(small, "d.img");
    const bytes = () => Readable.from([...Array(64)].map(() => Buffer.alloc(256 * 1024, 1)));
    const full = hasCode("HOST_DISK_FULL");
    await assert.rejects(files.makeFromBytes(file, bytes(), undefined), full);
    const head = Buffer.alloc(512);
    new Header({ path: "f", type: "File", size: 16 * 2 ** 20, mode: 0o644 }).encode(head, 0);
    await assert.rejects(files.makeFromTar(file, Readable.from([head, ...(await bytes().toArray())]), undefined), full);
    assert.deepEqual(readdirSync(small), []);
    // A hole takes no room.
    await files.makeBlank(file, "raw", 1024);
    assert.equal(statSync(file).size, 2 ** 30);
  } finally {
    execFileSync("umount", [small]);
    rmSync(folder, { recursive: true, force: true });
  }
});
