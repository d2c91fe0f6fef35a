import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { ImagePushed, ImageResult } from "../../src/contract/image.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openMcpClient } from "../support/mcp-client.ts";
import { writeLayout } from "../support/oci-layout.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { makeTar } from "../support/tar-archive.ts";

const BUSYBOX = readFileSync("/bin/busybox");
/** bcrypt of the password "geheim". */
const HTPASSWD = "ann:$2b$04$M8fT8Hxg91kgIrF6Lcjj7e9mhOJ.obQl5E4ymGkXbBwTYrOGe/2C6";
/** VFS_CAP_REVISION_2 with cap_setuid, permitted and effective (linux/capability.h). */
const CAPABILITY = Buffer.from("0100000280000000000000000000000000000000", "hex").toString("latin1");

let fixture: DaemonFixture;
let open: Registry;
let closed: Registry;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
  open = await startRegistry(path.join(fixture.folder, "open"));
  closed = await startRegistry(path.join(fixture.folder, "closed"), HTPASSWD);
});
after(async () => {
  await open?.close();
  await closed?.close();
  await fixture?.close();
});

async function cli<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await fixture.cli([...args, "--json"]);
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout) as T;
}

test("an image that was pushed and pulled again runs as before: owners, modes, capabilities, command, user", async () => {
  const layout = path.join(fixture.folder, "layout");
  const members = [
    { path: "bin/" },
    { path: "bin/busybox", mode: 0o755, content: BUSYBOX },
    // A shell that may become another user by its file's capability alone.
    { path: "bin/busybox-caps", mode: 0o755, content: BUSYBOX, xattrs: { "security.capability": CAPABILITY } },
    { path: "bin/sh", type: "link", linkTarget: "bin/busybox" },
    { path: "bin/stat", type: "symlink", linkTarget: "busybox", mode: 0o777 },
    { path: "srv/", mode: 0o2770, uid: 1234, gid: 77 },
    { path: "srv/mine", mode: 0o640, uid: 1234, gid: 77, content: "mine", mtimeSeconds: 1_500_000_000 },
  ] as const;
  const script =
    'echo "$GREETING from $PWD"; stat -c "%n %a %u:%g %Y %h" /srv /srv/mine /bin/sh; /bin/busybox cat mine; /bin/busybox grep CapPrm /proc/self/status; /bin/busybox-caps grep CapPrm /proc/self/status';
  const config = {
    Entrypoint: ["/bin/sh", "-c"],
    Cmd: [script],
    Env: ["GREETING=hello world"],
    WorkingDir: "/srv",
    User: "1234:77",
  };
  await writeLayout(layout, [{ layers: [makeTar(members)], config }]);
  await cli("image", "pull", `oci:${layout}`, "--name", "app");
  const authFile = path.join(fixture.folder, "auth.json");
  const auth = Buffer.from("ann:geheim").toString("base64");
  await writeFile(authFile, JSON.stringify({ auths: { [closed.host]: { auth } } }));
  const reference = `${closed.host}/team/app:1`;
  const settings = ["--tls-verify=false", "--authfile", authFile];
  const pushed = await cli<ImagePushed>("image", "push", ...settings, "app", reference);
  assert.equal(pushed.reference, reference);
  const first = await fixture.cli(["run", "--image", "app"]);
  // What is pulled must not find what it was pushed from.
  await cli("image", "delete", "app", "--force");
  const { image } = await cli<ImageResult>("image", "pull", ...settings, reference, "--name", "app");
  assert.deepEqual(image.source, { reference, digest: pushed.digest });
  assert.deepEqual([image.env, image.config, image.arch], [pushed.image.env, pushed.image.config, pushed.image.arch]);
  const second = await fixture.cli(["run", "--image", "app"]);
  assert.deepEqual(first.stdout.split("\n").slice(0, 4), [
    "hello world from /srv",
    "/srv 2770 1234:77 0 2",
    "/srv/mine 640 1234:77 1500000000 1",
    "/bin/sh 755 0:0 0 2",
  ]);
  assert.match(first.stdout, /CapPrm:\s0000000000000000\nCapPrm:\s0000000000000080\n$/);
  assert.equal(second.stdout, first.stdout, second.stderr);
});

test("without a login the push is refused, with a code and what to do", async () => {
  const args = ["image", "push", "--tls-verify=false", "app", `${closed.host}/team/app:2`];
  const { exitCode, stderr } = await fixture.cli([...args, "--json"], { env: { HOME: fixture.folder } });
  assert.equal(exitCode, 5, stderr);
  assert.equal(JSON.parse(stderr).error.code, "REGISTRY_UNAUTHORIZED");
  const given = await fixture.cli([...args, "--username", "ann", "--password-stdin"], {
    input: Buffer.from("geheim\n"),
  });
  assert.match(given.stdout, /\/team\/app:2 is sha256:[0-9a-f]{64} \(/, given.stderr);
});

test("over MCP an image is pushed once its preview has been seen", async () => {
  const connection = await openMcpClient(fixture);
  try {
    const args = { image: "app", reference: `${open.host}/app:1`, tls_verify: false };
    assert.equal((await connection.call("image_push", args)).data.code, "CONFIRMATION_REQUIRED");
    const { data } = await connection.call("image_push", { ...args, preview: true });
    const { confirm_token, steps } = data.preview as { confirm_token: string; steps: string[] };
    assert.match(steps.join("\n"), /publish it at localhost:\d+/);
    const pushed = await connection.call("image_push", { ...args, confirm_token });
    assert.equal(pushed.data.reference, args.reference, pushed.text);
    await cli("image", "delete", "app", "--force");
    const { image } = await cli<ImageResult>("image", "pull", "--tls-verify=false", args.reference, "--name", "app");
    assert.equal(image.source?.digest, pushed.data.digest);
  } finally {
    await connection.close();
  }
});
