/**
 * A jailer that is none, for a Firecracker that is none: its arguments are the jailer's, and what it does is what the jailer does (docs/jailer.md of Firecracker's
 * repository), except that its jails also have the programs in them that the fake is made of, for reading. Goes on as the program that it jails.
 */
import { execFileSync } from "node:child_process";
import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execve } from "node:process";
import { parseArgs } from "node:util";
import { PACKAGE_ROOT } from "../../../src/platform/package-files.ts";

/** What emulation and Node take besides what a Firecracker would. */
const EMULATION_BYTES = 1024 ** 3;

function fail(words: string): never {
  process.stderr.write(`${words}\n`);
  process.exit(1);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: "string" },
    "exec-file": { type: "string" },
    uid: { type: "string" },
    gid: { type: "string" },
    "chroot-base-dir": { type: "string", default: "/srv/jailer" },
    netns: { type: "string" },
    daemonize: { type: "boolean" },
    "new-pid-ns": { type: "boolean" },
    cgroup: { type: "string", multiple: true },
    "cgroup-version": { type: "string", default: "1" },
    "parent-cgroup": { type: "string" },
    "resource-limit": { type: "string", multiple: true },
    version: { type: "boolean" },
  },
});
if (values.version) {
  process.stdout.write(`Jailer v${process.env.FAKE_JAILER_VERSION}\n`);
  process.exit(0);
}
const { id = "", "exec-file": program = "", uid = "", gid = "", "chroot-base-dir": base } = values;
if (!/^[A-Za-z0-9-]{1,64}$/.test(id)) fail("Invalid instance ID");
if (!existsSync(program) || !path.basename(program).includes("firecracker")) fail("The exec file is none");
if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid)) fail("Invalid uid or gid");

const root = path.join(base, path.basename(program), id, "root");
mkdirSync(root, { recursive: true });
const owner = [Number(uid), Number(gid)] as const;
limit();
copyFileSync(program, path.join(root, path.basename(program)));
// The whole of it becomes the VMM's user's.
chownSync(root, ...owner);
for (const folder of ["dev", "dev/net", "run", "tmp"]) {
  mkdirSync(path.join(root, folder), { recursive: true });
  chownSync(path.join(root, folder), ...owner);
}
for (const [name, major, minor] of [
  ["net/tun", "10", "200"],
  ["kvm", "10", "232"],
  ["urandom", "1", "9"],
  ["null", "1", "3"],
] as const) {
  execFileSync("mknod", ["-m", "600", path.join(root, "dev", name), "c", major, minor]);
  chownSync(path.join(root, "dev", name), ...owner);
}
for (const place of ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", PACKAGE_ROOT, path.dirname(program)])
  if (existsSync(place)) lend(place);

const args = ["--id", id, "--start-time-us", "0", ...positionals];
if (execve === undefined) throw new Error("Node 24 has execve, on Linux");
const within = values.netns === undefined ? [] : [`--net=${values.netns}`];
execve(
  "/usr/bin/nsenter",
  [
    "nsenter",
    ...within,
    "chroot",
    `--userspec=${uid}:${gid}`,
    "--groups=",
    root,
    `/${path.basename(program)}`,
    ...args,
  ],
  { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
);

function lend(place: string): void {
  const at = path.join(root, place);
  mkdirSync(at, { recursive: true });
  execFileSync("mount", ["--rbind", place, at]);
}

/** Control groups, as the jailer makes them: each limit in the hierarchy of its controller. */
function limit(): void {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const wanted = values["cgroup-version"] === "2" ? "cgroup2" : "cgroup";
  for (const text of values.cgroup ?? []) {
    const [file = "", value = ""] = text.split(/=(.*)/s);
    const controller = file.split(".")[0] ?? "";
    const mount = mounts.find(
      ([, , type, options = ""]) =>
        type === wanted && (wanted === "cgroup2" || options.split(",").includes(controller)),
    );
    if (mount?.[1] === undefined) fail(`Controllers not found: ${controller}`);
    const group = path.join(mount[1], values["parent-cgroup"] ?? path.basename(program), id);
    mkdirSync(group, { recursive: true });
    const isMemory = /^memory\.(max|limit_in_bytes)$/.test(file);
    writeFileSync(path.join(group, file), isMemory ? String(Number(value) + EMULATION_BYTES) : value);
    writeFileSync(path.join(group, "cgroup.procs"), String(process.pid));
  }
}
