import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { RegistryCredentials } from "../../src/contract/image.ts";
import type { Progress } from "../../src/images/progress.ts";
import { pullImage } from "../../src/images/pull.ts";
import { pushImage } from "../../src/images/push.ts";
import { deleteImage, getImage, type Image } from "../../src/images/store.ts";
import { storeImage } from "../../src/images/store-image.ts";
import { readTar } from "../../src/images/tar-reader.ts";
import { withWorkDir } from "../../src/images/work-dir.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { readCommand, runCommand } from "../../src/platform/process.ts";
import { type OciImageSpec, sha256, writeLayout } from "../support/oci-layout.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { type Member, makeTar } from "../support/tar-archive.ts";

/** bcrypt of the password "geheim". */
const HTPASSWD = "ann:$2b$04$M8fT8Hxg91kgIrF6Lcjj7e9mhOJ.obQl5E4ymGkXbBwTYrOGe/2C6";
const LOGIN = { username: "ann", password: "geheim" };
/** VFS_CAP_REVISION_2 with cap_net_raw, permitted and effective (linux/capability.h); it has NULs and a newline's byte. */
const CAPABILITY = Buffer.from("0100000200200000000000000a00000000000000", "hex").toString("latin1");

let scratch: string;
let paths: FirebreakPaths;
let registry: Registry;
let closed: Registry;

before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "fb-push-"));
  paths = await newHome("home");
  registry = await startRegistry(path.join(scratch, "registry"));
  closed = await startRegistry(path.join(scratch, "closed"), HTPASSWD);
});
after(async () => {
  await registry?.close();
  await closed?.close();
  await rm(scratch, { recursive: true, force: true });
});

async function newHome(name: string): Promise<FirebreakPaths> {
  const home = resolvePaths({
    FIREBREAK_HOME: path.join(scratch, name),
    FIREBREAK_RUNTIME_DIR: path.join(scratch, `${name}-run`),
  });
  createPaths(home);
  return home;
}

/** An image of a layer's members, come as any other does. */
async function makeImage(name: string, members: Member[], config: OciImageSpec["config"] = {}): Promise<Image> {
  const layout = await mkdtemp(path.join(scratch, "layout-"));
  await writeLayout(layout, [{ layers: [makeTar(members)], config }]);
  await registry.push(layout, `made/${name}`);
  return (await pullImage(paths, { reference: `${registry.host}/made/${name}`, name, tlsVerify: false })).image;
}

const push = (image: string, to: string, credentials?: RegistryCredentials) =>
  pushImage(paths, image, { reference: to, tlsVerify: false }, credentials === undefined ? {} : { credentials });

/** All that a root filesystem holds, by path; another program than the one that pushes tells it. */
async function listRootfs(image: Image): Promise<string[]> {
  const { stdout } = await runCommand("unsquashfs", ["-lln", "-UTC", image.rootfsPath]);
  const lines = stdout.split("\n").filter((line) => line.includes("squashfs-root"));
  assert.ok(lines.length > 0, stdout);
  return lines.sort();
}

/** What unsquashfs does not list, too: content, which names are one file, seconds, extended attributes. */
async function readFiles(image: Image): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const output = readCommand("sqfs2tar", ["--root-becomes", ".", image.rootfsPath]);
  for await (const { entry, content } of readTar(output)) {
    const chunks: Buffer[] = [];
    for await (const chunk of content()) chunks.push(chunk);
    const bytes = sha256(Buffer.concat(chunks));
    files.set(
      entry.path.replace(/^\.\/|\/$/g, ""),
      JSON.stringify([
        entry.type,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtimeSeconds,
        bytes,
        entry.linkTarget,
        [...entry.xattrs].sort(),
      ]),
    );
  }
  return files;
}

const long = "n".repeat(200);
const everything: Member[] = [
  { path: "./", mode: 0o1751 },
  { path: "bin/", mtimeSeconds: 1_000_000_000 },
  {
    path: "bin/tool",
    mode: 0o4755,
    content: "tool\0\n",
    uid: 1000,
    gid: 50,
    xattrs: { "security.capability": CAPABILITY },
  },
  { path: "bin/zalias", type: "link", linkTarget: "bin/tool" },
  { path: "bin/sh", type: "symlink", linkTarget: "tool", mode: 0o777 },
  { path: "absolute", type: "symlink", linkTarget: `/${long}`, mode: 0o777 },
  { path: "null", type: "character", deviceMajor: 1, deviceMinor: 3, mode: 0o666 },
  { path: "disk", type: "block", deviceMajor: 259, deviceMinor: 300, mode: 0o660, gid: 6 },
  { path: "fifo", type: "fifo", mode: 0o620 },
  { path: "empty" },
  { path: "sgid/", mode: 0o2770, uid: 3_000_000, gid: 4_294_967_294, xattrs: { "user.note": "a=b\nc" } },
  { path: `${long}/` },
  { path: `${long}/${long}`, content: "long" },
  { path: "b\xff\xfe \n\u00e9", content: "no UTF-8" },
  { path: "late", content: "newest", mtimeSeconds: 1_700_000_000 },
  { path: "large", content: Buffer.alloc(3_000_000, "0123456789abcde") },
];

test("what is pushed and pulled again has the same files, owners, modes, links, devices, attributes and configuration", async () => {
  const config = {
    Env: ["PATH=/opt/bin", "GREETING=hello world", "LIST=a=b"],
    Entrypoint: ["/bin/tool"],
    Cmd: ["--all", "two words"],
    WorkingDir: "/srv",
    User: "1000:50",
  };
  const image = await makeImage("everything", everything, config);
  const files = await readFiles(image);
  // The comparison is worth something only if the attributes are there to begin with.
  assert.match(files.get("bin/tool") ?? "", /security\.capability/);
  assert.match(files.get("bin/zalias") ?? "", /"link"/);
  assert.match(files.get("sgid") ?? "", /user\.note/);
  const steps: Progress[] = [];
  const pushed = await pushImage(
    paths,
    "everything",
    { reference: `${registry.host}/team/everything:1`, tlsVerify: false },
    { onProgress: (step) => steps.push(step) },
  );
  assert.equal(pushed.reference, `${registry.host}/team/everything:1`);
  assert.deepEqual([...new Set(steps.map(({ step }) => step))], ["verify", "pack", "send", "done"]);

  const other = await newHome("other");
  const { image: back, warnings } = await pullImage(other, {
    reference: `${registry.host}/team/everything@${pushed.digest}`,
    name: "back",
    tlsVerify: false,
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(await listRootfs(back), await listRootfs(image));
  assert.deepEqual(await readFiles(back), files);
  assert.deepEqual([back.env, back.config, back.arch], [image.env, image.config, image.arch]);
  assert.deepEqual(await leftovers(), []);
});

test("the registry has an OCI image of one layer, which says what it is", async () => {
  await makeImage("plain", [{ path: "bin/tool", content: "x" }], { Cmd: ["/bin/tool"] });
  const { digest, layerBytes } = await push("plain", `${registry.host}/plain`);
  const { manifest, config } = await inspect("plain:latest");
  assert.equal(manifest.mediaType, "application/vnd.oci.image.manifest.v1+json");
  assert.equal(manifest.config.mediaType, "application/vnd.oci.image.config.v1+json");
  assert.deepEqual(
    manifest.layers.map(({ mediaType, size }) => [mediaType, size]),
    [["application/vnd.oci.image.layer.v1.tar+gzip", layerBytes]],
  );
  assert.deepEqual([config.os, config.architecture, config.config], ["linux", "amd64", { Cmd: ["/bin/tool"] }]);
  // The same again is the same: nothing of it depends on when or where it is pushed.
  assert.equal((await push("plain", `${registry.host}/plain:again`)).digest, digest);
});

test("an image without a configuration is pushed with its environment", async () => {
  const { rootfsPath } = await makeImage("source", [{ path: "bin/tool", content: "built" }]);
  await withWorkDir(paths.images, async (work) => {
    const copy = path.join(work, "copy");
    await copyFile(rootfsPath, copy);
    const facts = { format: "squashfs", arch: "amd64", recipe: "debian", recipeDigest: "x" } as const;
    await storeImage(paths, work, "built", { rootfsPath: copy, ...facts, env: { LANG: "C.UTF-8" } });
  });
  await push("built", `${registry.host}/built:1`);
  assert.deepEqual((await inspect("built:1")).config.config, { Env: ["LANG=C.UTF-8"] });
});

test("a tag that is pushed to again is the newer image", async () => {
  await makeImage("one", [{ path: "bin/tool", content: "one" }]);
  await makeImage("two", [{ path: "bin/tool", content: "two" }]);
  const first = await push("one", `${registry.host}/moving:1`);
  const second = await push("two", `${registry.host}/moving:1`);
  assert.notEqual(first.digest, second.digest);
  const other = await newHome("moved");
  const reference = `${registry.host}/moving:1`;
  const { image } = await pullImage(other, { reference, name: "moved", tlsVerify: false });
  assert.equal(image.source?.digest, second.digest);
  assert.ok((await readFiles(image)).get("bin/tool")?.includes(sha256(Buffer.from("two"))));
});

test("a registry that wants a login gets it, and nothing keeps it", async () => {
  await makeImage("private", [{ path: "bin/tool", content: "private" }]);
  const to = `${closed.host}/private:1`;
  await assert.rejects(push("private", to), { code: "REGISTRY_UNAUTHORIZED", hint: /docker login localhost/ });
  await assert.rejects(
    push("private", to, { username: "ann", password: "wrong-geheim" }),
    (error: Error & { code?: string }) =>
      error.code === "REGISTRY_UNAUTHORIZED" && !error.message.includes("wrong-geheim"),
  );
  const { digest } = await push("private", to, LOGIN);
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  const auth = Buffer.from("ann:geheim").toString("base64");
  const kept = await runCommand("grep", ["-rlE", `geheim|${auth}`, paths.home, "/dev/shm"], { allowFailure: true });
  assert.equal(kept.stdout, "");
});

test("what names no registry, no tag or nothing at all is refused before anything is sent", async () => {
  await makeImage("refused", [{ path: "bin/tool", content: "x" }]);
  const digest = `sha256:${"0".repeat(64)}`;
  const { host } = registry;
  for (const reference of [
    "app",
    "team/app:1",
    "docker://app",
    `${host}/app@${digest}`,
    `${host}/APP`,
    `oci:/tmp`,
    host,
  ])
    await assert.rejects(push("refused", reference), { code: "INVALID_ARGUMENT" }, reference);
  await assert.rejects(push("refused", "registry.test:5000/app"), { code: "INVALID_ARGUMENT", message: /not on this/ });
  await assert.rejects(push("none", `${host}/app`), { code: "IMAGE_NOT_FOUND" });
});

test("a registry that is not there, has no TLS or fails is IMAGE_PUSH_FAILED, and what to do is said", async () => {
  await makeImage("failing", [{ path: "bin/tool", content: "failing" }]);
  await assert.rejects(push("failing", "localhost:1/app"), { code: "IMAGE_PUSH_FAILED", message: /be reached/ });
  await assert.rejects(pushImage(paths, "failing", { reference: `${registry.host}/app` }), {
    code: "IMAGE_PUSH_FAILED",
    hint: /--tls-verify=false/,
  });
  // One that takes nothing: there is no such repository, as some have it.
  const server = http.createServer((request, response) => {
    const isBase = request.url === "/v2/";
    response.writeHead(isBase ? 200 : 404, { "content-type": "application/json" });
    response.end(isBase ? "{}" : '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    await assert.rejects(push("failing", `localhost:${port}/app`), {
      code: "IMAGE_PUSH_FAILED",
      hint: /repository to be made/,
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
  assert.deepEqual(await leftovers(), []);
});

test("an image that is damaged here is not handed out", async () => {
  const { rootfsPath, sizeBytes } = await makeImage("damaged", [{ path: "bin/tool", content: "damaged" }]);
  await runCommand("chmod", ["u+w", rootfsPath]);
  await truncate(rootfsPath, 0);
  await writeFile(rootfsPath, Buffer.alloc(sizeBytes, 1));
  await assert.rejects(push("damaged", `${registry.host}/damaged`), { code: "IMAGE_CORRUPT" });
  await deleteImage(paths, "damaged");
});

test("a push that is called off leaves nothing, here or there", async () => {
  const image = await makeImage("aborted", [{ path: "bin/tool", content: "aborted" }]);
  for (const at of ["pack", "send"]) {
    const aborter = new AbortController();
    const onProgress = ({ step }: Progress) => step === at && aborter.abort();
    const reference = `${registry.host}/aborted:${at}`;
    await assert.rejects(
      pushImage(paths, "aborted", { reference, tlsVerify: false }, { signal: aborter.signal, onProgress }),
      (error: Error & { code?: string }) => error.name === "AbortError" || error.code === "OPERATION_CANCELED",
    );
    await assert.rejects(pullImage(paths, { reference, tlsVerify: false }), { code: "IMAGE_NOT_FOUND" });
  }
  assert.equal((await getImage(paths, "aborted")).digest, image.digest);
  assert.deepEqual(await leftovers(), []);
});

async function leftovers(): Promise<string[]> {
  return (await readdir(paths.images)).filter((name) => name.startsWith(".work-"));
}

interface Inspected {
  manifest: {
    mediaType: string;
    config: { mediaType: string };
    layers: { mediaType: string; size: number }[];
  };
  config: { os: string; architecture: string; config: Record<string, unknown> };
}

/** What the registry has, as another program reads it. */
async function inspect(name: string): Promise<Inspected> {
  const read = async (...args: string[]) => {
    const all = ["inspect", "--raw", "--tls-verify=false", ...args, `docker://${registry.host}/${name}`];
    return JSON.parse((await runCommand("skopeo", all)).stdout);
  };
  return { manifest: await read(), config: await read("--config") };
}
