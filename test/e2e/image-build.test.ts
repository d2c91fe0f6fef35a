import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, link, mkdir, mkdtemp, readdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBuildContext } from "../../src/cli/image-source.ts";
import type { ImageInfo, ImageResult } from "../../src/contract/image.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { makeTar } from "../support/tar-archive.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
  const root = path.join(fixture.folder, "rootfs");
  for (const name of ["bin", "etc", "home/ann"]) await mkdir(path.join(root, name), { recursive: true });
  await copyFile("/bin/busybox", path.join(root, "bin/busybox"));
  await link(path.join(root, "bin/busybox"), path.join(root, "bin/sh"));
  for (const name of ["id", "cat", "ls", "ln", "chown", "chmod", "mkfifo", "stat", "sleep", "rm", "sort", "hostname"])
    await symlink("busybox", path.join(root, "bin", name));
  await writeFile(path.join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n");
  await writeFile(path.join(root, "etc/old"), "old\n");
  const { exitCode, stderr } = await fixture.cli(["image", "import", root, "--name", "base"]);
  assert.equal(exitCode, 0, stderr);
});
after(() => fixture?.close());

async function contextOf(buildFile: string, files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(path.join(fixture.folder, "context-"));
  for (const [name, text] of Object.entries({ Dockerfile: buildFile, ...files })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

function build(folder: string, name: string) {
  return fixture.cli(["image", "build", "--file", path.join(folder, "Dockerfile"), folder, "--name", name, "--json"]);
}

async function refused(code: string, buildFile: string, files: Record<string, string> = {}) {
  const { exitCode, stderr } = await build(await contextOf(buildFile, files), "refused");
  assert.notEqual(exitCode, 0);
  const { error } = JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as {
    error: { code: string; message: string; hint?: string };
  };
  assert.equal(error.code, code, error.message);
  assert.deepEqual(await fixture.client.vms.list(), []);
  // The answer is there a moment before the work folder is gone.
  await waitFor(async () => !(await readdir(fixture.paths.images)).some((entry) => entry.startsWith(".work-")));
  await assert.rejects(fixture.client.images.get("refused"), { code: "IMAGE_NOT_FOUND" });
  return error;
}

test("a build file's instructions are done in a VM, and what comes of them is an image", async () => {
  const folder = await contextOf(
    `FROM base
ENV GREETING="hello world" PATH=/srv/app/bin:/bin
WORKDIR /srv
WORKDIR app
COPY src ./
COPY note.txt src/tool /etc/notes/
COPY note.txt /etc/note
RUN tool > built && ln built again && \\
    # a comment
    chown 1000:100 built && chmod 4750 built && mkfifo pipe && rm /etc/old
USER ann
RUN id -u > /tmp/who && echo "$GREETING" >> /tmp/who
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cat built /tmp/who; stat -c '%a %h %u:%g %F' built pipe; ls /etc/notes; ls /etc/old; cat /etc/note; hostname"]
`,
    { "src/bin/tool": "#!/bin/sh\necho tool by $(id -u)\n", "src/tool": "x", "note.txt": "noted\n" },
  );
  execFileSync("chmod", ["755", path.join(folder, "src/bin/tool")]);
  const { exitCode, stdout, stderr } = await build(folder, "app:1");
  assert.equal(exitCode, 0, stderr);
  const { image } = JSON.parse(stdout) as ImageResult;
  assert.deepEqual([image.recipe, image.tags], ["build", ["app:1"]]);
  assert.deepEqual(image.env, { GREETING: "hello world", PATH: "/srv/app/bin:/bin" });
  assert.deepEqual(
    [image.config.workingDir, image.config.user, image.config.entrypoint],
    ["/srv/app", "ann", ["/bin/sh", "-c"]],
  );
  assert.deepEqual(await fixture.client.vms.list(), []);
  const ran = await fixture.cli(["run", "--image", "app:1"]);
  const lines = ran.stdout.split("\n");
  assert.deepEqual(
    lines.slice(0, 5),
    ["tool by 0", "1000", "hello world", "4750 2 1000:100 regular file", "644 1 0:0 fifo"],
    ran.stderr,
  );
  assert.deepEqual(lines.slice(5, 8), ["note.txt", "tool", "noted"]);
  assert.match(ran.stderr, /\/etc\/old: No such file/);
  // A name of its own, not that of the VM that it was built in.
  assert.match(lines[8] ?? "", /^[a-z]+-[a-z0-9-]+$/);
});

test("an image is built on one that was built", async () => {
  const folder = await contextOf('FROM app:1\nUSER root\nRUN ["/bin/busybox", "touch", "/more"]\nCMD ["ls /more"]\n');
  const { exitCode, stderr } = await build(folder, "app:2");
  assert.equal(exitCode, 0, stderr);
  const { config, env } = await fixture.client.images.get("app:2");
  assert.deepEqual(config, { entrypoint: ["/bin/sh", "-c"], cmd: ["ls /more"], workingDir: "/srv/app", user: "root" });
  assert.equal(env.GREETING, "hello world");
  assert.equal((await fixture.cli(["run", "--image", "app:2"])).stdout, "/more\n");
});

test("what fails is told with its line and output, and leaves neither a VM nor an image", async () => {
  const failed = await refused("IMAGE_BUILD_FAILED", "FROM base\nENV A=1\n\nRUN echo before; echo wrong >&2; exit 7\n");
  assert.match(failed.message, /line 4, RUN .*exit code 7; its output ends with: before\s+wrong/s);
  const noNetwork = await refused("IMAGE_BUILD_FAILED", "FROM base\nRUN /bin/busybox wget -T 2 http://198.51.100.1/\n");
  assert.match(noNetwork.hint ?? "", /no network/);
  await refused("IMAGE_NOT_FOUND", "FROM nothing:1\n");
  await refused("BUILD_FILE_INVALID", "FROM base\nADD x /x\n");
  assert.match((await refused("BUILD_FILE_INVALID", "FROM base\nCOPY missing /x\n")).message, /line 2.*missing/);
  await refused("ARCHIVE_INVALID", "FROM base\nCOPY ../../etc/passwd /x\n");
  await refused("USER_NOT_FOUND", "FROM base\nUSER nobody\nRUN true\n");
  assert.match((await refused("BUILD_FILE_INVALID", "FROM base\n", { ".dockerignore": "x" })).message, /dockerignore/);
});

test("the build file lies in the context; what is outside is not sent", async () => {
  const folder = await contextOf("FROM base\n");
  await assert.rejects(openBuildContext(path.join(folder, "."), "/etc/passwd"), { code: "INVALID_ARGUMENT" });
  const body = makeTar([{ path: "Dockerfile", type: "symlink", linkTarget: "/etc/passwd" }]);
  const { Readable } = await import("node:stream");
  for (const file of ["Dockerfile", "/etc/passwd", "none"])
    await assert.rejects(fixture.client.images.buildFile({ name: "x", file }, Readable.from([body])), {
      code: "BUILD_FILE_INVALID",
    });
  await assert.rejects(fixture.client.images.buildFile({ name: "x", file: "../x" }, Readable.from([body])), {
    code: "ARCHIVE_INVALID",
  });
});

test("a build whose caller goes away ends, and its VM with it", async () => {
  const folder = await contextOf("FROM base\nRUN echo started; sleep 1000\n");
  const { inContext, open } = await openBuildContext(folder, path.join(folder, "Dockerfile"));
  const aborter = new AbortController();
  const seen: string[] = [];
  const options = {
    signal: aborter.signal,
    onProgress: ({ message }: { message: string }) => {
      seen.push(message);
      if (message.includes(": started")) aborter.abort();
    },
  };
  const built = fixture.client.images.buildFile({ name: "never", file: inContext }, await open(() => {}), options);
  await assert.rejects(built, FirebreakError);
  assert.ok(seen.some((message) => message.startsWith("[1/1] RUN echo started")));
  await waitFor(async () => (await fixture.client.vms.list()).length === 0);
  await waitFor(async () => !(await readdir(fixture.paths.images)).some((entry) => entry.startsWith(".work-")));
  const images: ImageInfo[] = await fixture.client.images.list();
  assert.ok(!images.some(({ tags }) => tags.includes("never")));
});
