import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { findCredentials } from "../../src/client/registry-credentials.ts";
import type { ImageOptions, Progress } from "../../src/images/progress.ts";
import { pullImage } from "../../src/images/pull.ts";
import { getImage, listImages, verifyImage } from "../../src/images/store.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { runCommand } from "../../src/platform/process.ts";
import { type OciImageSpec, writeLayout } from "../support/oci-layout.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { makeTar } from "../support/tar-archive.ts";

/** bcrypt of the password "geheim". */
const HTPASSWD = "ann:$2b$04$M8fT8Hxg91kgIrF6Lcjj7e9mhOJ.obQl5E4ymGkXbBwTYrOGe/2C6";
const LOGIN = { username: "ann", password: "geheim" };

let scratch: string;
let paths: FirebreakPaths;
let registry: Registry;
let closed: Registry;

before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "fb-pull-"));
  paths = resolvePaths({
    FIREBREAK_HOME: path.join(scratch, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(scratch, "run"),
  });
  createPaths(paths);
  registry = await startRegistry(path.join(scratch, "registry"));
  closed = await startRegistry(path.join(scratch, "closed"), HTPASSWD);
});
after(async () => {
  await registry?.close();
  await closed?.close();
  await rm(scratch, { recursive: true, force: true });
});

function imageOf(text: string, extra: Partial<OciImageSpec> = {}): OciImageSpec {
  return { layers: [makeTar([{ path: "bin/" }, { path: "bin/tool", mode: 0o755, content: text }])], ...extra };
}

async function pushed(name: string, spec: OciImageSpec, to: Registry = registry, login?: string): Promise<string> {
  const layout = await mkdtemp(path.join(scratch, "layout-"));
  const [digest] = await writeLayout(layout, [spec]);
  await to.push(layout, name, login);
  return digest as string;
}

const pull = (
  reference: string,
  options: ImageOptions & { name?: string; platform?: string; from?: Registry } = {},
) => {
  const { name, platform, from = registry, ...rest } = options;
  return pullImage(
    paths,
    {
      reference: `${from.host}/${reference}`,
      tlsVerify: false,
      ...(name === undefined ? {} : { name }),
      ...(platform === undefined ? {} : { platform }),
    },
    rest,
  );
};

test("a pulled image has its layers squashed, its configuration, and the digest that it had in the registry", async () => {
  const lower = makeTar([
    { path: "etc/" },
    { path: "etc/old", content: "old" },
    { path: "etc/both", content: "lower" },
  ]);
  const upper = makeTar([{ path: "etc/.wh.old" }, { path: "etc/both", content: "upper" }]);
  const config = {
    Env: ["PATH=/opt/bin", "GREETING=hello world", "not a name=x"],
    Entrypoint: ["/bin/tool"],
    Cmd: ["--all"],
    WorkingDir: "/srv",
    User: "app:staff",
  };
  const digest = await pushed("team/tools:1.0", { layers: [lower, upper], config });
  const steps: Progress[] = [];
  const { image, isUpToDate, warnings } = await pull("team/tools:1.0", { onProgress: (step) => steps.push(step) });
  assert.equal(isUpToDate, false);
  assert.deepEqual(image.tags, ["tools:1.0"]);
  assert.deepEqual(image.source, { reference: `${registry.host}/team/tools:1.0`, digest });
  assert.deepEqual(image.env, { PATH: "/opt/bin", GREETING: "hello world" });
  assert.deepEqual(image.config, { entrypoint: ["/bin/tool"], cmd: ["--all"], workingDir: "/srv", user: "app:staff" });
  assert.match(warnings.join(), /not a name/);
  await verifyImage(image, { deep: true });
  const { stdout } = await runCommand("unsquashfs", ["-cat", image.rootfsPath, "etc/both"]);
  assert.equal(stdout, "upper");
  const listing = await runCommand("unsquashfs", ["-l", image.rootfsPath]);
  assert.doesNotMatch(listing.stdout, /old|\.wh\./);
  // Fractions, as far as the phase's end.
  assert.ok(steps.some(({ step, fraction }) => step === "pack" && fraction === 1));
  assert.deepEqual(
    (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
    [],
  );
});

test("what is there already is not fetched again, and gets the name that is asked for", async () => {
  await pushed("again:1", imageOf("again"));
  const first = await pull("again:1");
  const second = await pull("again:1", { name: "other" });
  assert.equal(second.isUpToDate, true);
  assert.equal(second.image.digest, first.image.digest);
  assert.deepEqual((await getImage(paths, "other")).tags, ["again:1", "other"]);
});

test("a tag that moves takes its name along, and the older image stays without it", async () => {
  await pushed("moving", imageOf("one"));
  const { image: one } = await pull("moving");
  await pushed("moving", imageOf("two"));
  const { image: two } = await pull("moving");
  assert.notEqual(one.digest, two.digest);
  assert.deepEqual((await getImage(paths, one.digest)).tags, []);
  assert.equal((await getImage(paths, "moving")).digest, two.digest);
});

test("two images with one content and different commands are two", async () => {
  await pushed("same:a", imageOf("same", { config: { Cmd: ["a"] } }));
  await pushed("same:b", imageOf("same", { config: { Cmd: ["b"] } }));
  const a = await pull("same:a");
  const b = await pull("same:b");
  assert.notEqual(a.image.digest, b.image.digest);
  assert.equal(a.image.rootfsDigest, b.image.rootfsDigest);
  assert.deepEqual((await getImage(paths, "same:a")).config?.cmd, ["a"]);
});

test("of a list of images the one for the platform is taken, and a digest pins it", async () => {
  const layout = await mkdtemp(path.join(scratch, "several-"));
  const [digest] = await writeLayout(layout, [], [imageOf("arm", { architecture: "arm64" }), imageOf("amd")]);
  await registry.push(layout, "several:1");
  const { image } = await pull(`several@${digest}`, { name: "several" });
  assert.equal(image.source?.digest, digest);
  const { stdout } = await runCommand("unsquashfs", ["-cat", image.rootfsPath, "bin/tool"]);
  assert.equal(stdout, "amd");
  await assert.rejects(pull("several:1", { platform: "linux/riscv64" }), {
    code: "IMAGE_PLATFORM_MISSING",
    hint: /linux\/arm64, linux\/amd64/,
  });
});

test("an image that is not for this platform is refused before it is fetched whole", async () => {
  await pushed("foreign", imageOf("x", { architecture: "s390x" }));
  await assert.rejects(pull("foreign"), { code: "IMAGE_PLATFORM_MISSING" });
  assert.equal(await getImage(paths, "foreign").catch(() => undefined), undefined);
});

test("a registry that wants a login gets it from the user's own files, and nothing keeps it", async () => {
  const digest = await pushed("secret", imageOf("secret"), closed, "ann:geheim");
  await assert.rejects(pull("secret", { from: closed }), {
    code: "REGISTRY_UNAUTHORIZED",
    hint: /docker login localhost/,
  });
  await assert.rejects(
    pullImage(
      paths,
      { reference: `${closed.host}/secret`, tlsVerify: false },
      { credentials: { username: "ann", password: "wrong-geheim" } },
    ),
    (error: Error & { code?: string }) =>
      error.code === "REGISTRY_UNAUTHORIZED" && !error.message.includes("wrong-geheim"),
  );
  const authFile = path.join(scratch, "auth.json");
  const auth = Buffer.from("ann:geheim").toString("base64");
  await writeFile(authFile, JSON.stringify({ auths: { [closed.host]: { auth } } }));
  const credentials = await findCredentials(`${closed.host}/secret`, authFile, {});
  assert.deepEqual(credentials, LOGIN);
  const { image } = await pullImage(
    paths,
    { reference: `${closed.host}/secret`, tlsVerify: false },
    { credentials: LOGIN },
  );
  assert.equal(image.source?.digest, digest);
  const kept = await runCommand("grep", ["-rlE", `geheim|${auth}`, paths.home, "/dev/shm"], { allowFailure: true });
  assert.equal(kept.stdout, "");
});

test("the password is on no command line and in no environment while skopeo runs", async () => {
  const folder = path.join(scratch, "spy");
  await mkdir(folder);
  const seen = path.join(folder, "seen");
  // Stands before the real one, to see what it is given.
  const spy = `#!/bin/sh\n{ tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' '\\n' < /proc/$$/environ; } >> ${seen}\ncat /proc/self/fd/3 >> ${seen}.auth\nexec /usr/bin/skopeo "$@"\n`;
  await writeFile(path.join(folder, "skopeo"), spy);
  await chmod(path.join(folder, "skopeo"), 0o755);
  await pushed("spied", imageOf("spied"), closed, "ann:geheim");
  const { PATH } = process.env;
  process.env.PATH = `${folder}:${PATH}`;
  try {
    await pullImage(paths, { reference: `${closed.host}/spied`, tlsVerify: false }, { credentials: LOGIN });
  } finally {
    process.env.PATH = PATH;
  }
  const auth = Buffer.from("ann:geheim").toString("base64");
  assert.match(await readFile(`${seen}.auth`, "utf8"), new RegExp(auth));
  assert.doesNotMatch(await readFile(seen, "utf8"), new RegExp(`geheim|${auth}`));
});

test("a helper that docker's file names is asked for the login", async () => {
  const folder = path.join(scratch, "helper");
  await mkdir(folder);
  const helper = path.join(folder, "docker-credential-test");
  await writeFile(
    helper,
    `#!/bin/sh\nread -r server; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"for $server\\"}"\n`,
  );
  await chmod(helper, 0o755);
  await writeFile(path.join(folder, "config.json"), JSON.stringify({ credHelpers: { "registry.test": "test" } }));
  const env = { HOME: folder, DOCKER_CONFIG: folder, PATH: `${folder}:${process.env.PATH}`, XDG_RUNTIME_DIR: folder };
  const found = await findCredentials("registry.test/team/app:1", undefined, env);
  assert.deepEqual(found, { username: "ann", password: "for registry.test" });
  assert.equal(await findCredentials("elsewhere.test/app", undefined, env), undefined);
});

test("without TLS only a registry on this host is talked to", async () => {
  for (const reference of [
    "registry.test:5000/app",
    "10.0.0.1/app",
    "localhost.evil.test/app",
    "127.0.0.1.evil.test/app",
    "alpine",
  ])
    await assert.rejects(pullImage(paths, { reference, tlsVerify: false }), {
      code: "INVALID_ARGUMENT",
      message: /not on this host/,
    });
  // And with TLS a registry that has none is refused rather than believed.
  await assert.rejects(pullImage(paths, { reference: `${registry.host}/same:a` }), {
    code: "IMAGE_PULL_FAILED",
    hint: /--tls-verify=false/,
  });
});

test("what is not in the registry is IMAGE_NOT_FOUND; a registry that is not there is IMAGE_PULL_FAILED", async () => {
  await assert.rejects(pull("nothing:1"), { code: "IMAGE_NOT_FOUND" });
  await assert.rejects(pull("same:none"), { code: "IMAGE_NOT_FOUND" });
  await assert.rejects(pullImage(paths, { reference: "localhost:1/app", tlsVerify: false }), {
    code: "IMAGE_PULL_FAILED",
  });
});

test("a pull that is called off leaves nothing, and the image that had the name stays", async () => {
  await pushed("kept", imageOf("kept"));
  const { image } = await pull("kept");
  await pushed("kept", imageOf("newer"));
  for (const at of ["resolve", "pack"]) {
    const aborter = new AbortController();
    const onProgress = ({ step }: Progress) => step === at && aborter.abort();
    await assert.rejects(
      pull("kept", { signal: aborter.signal, onProgress }),
      (error: Error & { code?: string }) => error.name === "AbortError" || error.code === "OPERATION_CANCELED",
    );
    assert.equal((await getImage(paths, "kept")).digest, image.digest);
  }
  assert.deepEqual(
    (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
    [],
  );
});

test("two pulls of one image at once give one image", async () => {
  await pushed("race:1", imageOf("race"));
  const before = (await listImages(paths)).length;
  const [a, b, c] = await Promise.all([pull("race:1"), pull("race:1"), pull("race:1", { name: "racer" })]);
  assert.equal(new Set([a, b, c].map(({ image }) => image.digest)).size, 1);
  assert.equal((await listImages(paths)).length, before + 1);
  await verifyImage(await getImage(paths, "race:1"), { deep: true });
});
