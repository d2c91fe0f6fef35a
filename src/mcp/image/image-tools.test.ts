import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller, confirmed } from "../../../test/support/tool-caller.ts";
import { readTar as readImageTar } from "../../images/tar-reader.ts";

test("an image is imported from a directory or a tar in a VM, and loses its name", async () => {
  const client = createFakeVmClient(["web"]);
  const call = caller(client);
  client.world.files.set("/srv/root/etc/passwd", Buffer.from("x"));
  client.world.files.set("/srv/root.tar", Buffer.from("a tar"));
  const made = await call("image_import", { vm: "web", path: "/srv/root", name: "mine" });
  assert.deepEqual([made.data.names, made.data.made_by], [["mine"], "import"]);
  await call("image_import", { vm: "web", path: "/srv/root.tar", name: "tarred" });
  assert.deepEqual(client.world.contexts.map(String), ["archive of /srv/root", "a tar"]);
  assert.equal((await call("image_import", { vm: "web", path: "/none", name: "x" })).isError, true);
  assert.deepEqual((await call("image_untag", { name: "mine" })).data.names, []);
  assert.equal((await call("image_untag", { name: "mine" })).data.code, "IMAGE_NOT_FOUND");
});

test("an image that is being made is listed as such", async () => {
  const client = createFakeVmClient();
  client.world.making.push("python");
  const { data, text } = await caller(client)("image_list", {});
  assert.deepEqual(data.making, ["python"]);
  assert.match(text, /python: being made, and not there yet/);
});

test("images are pulled, named, shown and deleted; what is in use needs force", async () => {
  const call = caller(createFakeVmClient());
  const pulled = await confirmed(call, "image_pull", { reference: "python:3.13", name: "python" });
  assert.deepEqual((pulled.data.source as { reference: string }).reference, "python:3.13");
  assert.match(pulled.text, /something is left out/);
  assert.deepEqual((await call("image_tag", { image: "python", name: "py:3" })).data.names, ["python", "py:3"]);
  const shown = (await call("image_get", { image: "py:3" })).data;
  assert.deepEqual([shown.command, shown.working_dir], [["/bin/tool", "--all"], "/srv"]);
  assert.match((await confirmed(call, "image_delete", { image: "py:3" })).text, /IMAGE_IN_USE/);
  const { data } = await confirmed(call, "image_delete", { image: "py:3", force: true });
  assert.deepEqual([data.names, data.templates, data.freed_bytes], [["python", "py:3"], ["a"], 1000]);
  assert.deepEqual((await confirmed(call, "image_prune", {})).data.deleted, []);
  const planned = await call("image_prune", { all: true, preview: true });
  assert.match(planned.text, /delete: .* python, py:3|nothing/);
  assert.equal(((await call("image_list", {})).data.images as unknown[]).length, 1);
  await confirmed(call, "image_prune", { all: true });
  assert.deepEqual((await call("image_list", {})).data.images, []);
});

test("an image is built from files that are given as text", async () => {
  const client = createFakeVmClient();
  const files = [{ path: "bin/tool", text: "#!/bin/sh\n", executable: true }];
  const built = await caller(client)("image_build_file", { name: "app", build_file: "FROM debian\n", files });
  assert.equal(built.data.made_by, "build");
  const members: [string, string, number][] = [];
  for await (const { entry, content } of readImageTar(Readable.from([Buffer.concat(client.world.contexts)]))) {
    const chunks: Buffer[] = [];
    for await (const chunk of content()) chunks.push(chunk);
    members.push([entry.path, Buffer.concat(chunks).toString(), entry.mode]);
  }
  assert.deepEqual(members, [
    [".build-file", "FROM debian\n", 0o644],
    ["bin/tool", "#!/bin/sh\n", 0o755],
  ]);
  for (const path of ["/etc/passwd", "../x", "a/../b", ".build-file", "a//b", ""]) {
    const bad = { name: "app", build_file: "FROM debian", files: [{ path, text: "" }] };
    assert.match((await caller(client)("image_build_file", bad)).text, /INVALID_ARGUMENT/, path);
  }
});

test("an image's name or reference that could be something else is refused before anything is asked", async () => {
  const call = caller(createFakeVmClient());
  for (const name of ["../x", "-x", "a b", "A", ""])
    assert.match((await call("image_tag", { image: "debian", name })).text, /INVALID_NAME/);
  assert.match((await call("image_pull", { reference: "a", platform: "linux" })).text, /platform/);
  assert.match((await call("image_pull", { reference: "a", password: "x" })).text, /INVALID_ARGUMENT/);
});

test("an image is pushed as its digest, to a registry that the preview names", async () => {
  const client = createFakeVmClient();
  const call = caller(client);
  const args = { image: "debian", reference: "localhost:5000/team/app:1", tls_verify: false };
  const planned = await call("image_push", { ...args, preview: true });
  assert.match(planned.text, /publish it at localhost:5000, without TLS, as localhost:5000\/team\/app:1/);
  assert.equal((await call("image_push", args)).data.code, "CONFIRMATION_REQUIRED");
  const { data } = await confirmed(call, "image_push", args);
  assert.deepEqual([data.image, data.reference], [(await client.images.get("debian")).digest, args.reference]);
  for (const reference of ["app", "team/app:1", `localhost:5000/app@sha256:${"0".repeat(64)}`, "localhost:5000/A"])
    assert.equal(
      (await call("image_push", { image: "debian", reference, preview: true })).data.code,
      "INVALID_ARGUMENT",
    );
});
