import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";

const PNG = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(200_000, 7)]);

function open(files: Record<string, Buffer | string>) {
  const client = createFakeVmClient(["web"]);
  for (const [path, content] of Object.entries(files)) client.world.files.set(path, Buffer.from(content as string));
  return caller(client);
}

test("a file that is kept is listed, read and, with a confirmed preview, deleted", async () => {
  const call = open({ "/root/report.txt": "done" });
  assert.equal((await call("artifact_create", { vm: "web", path: "/root/report.txt" })).data.artifact, "report.txt");
  assert.equal(((await call("artifact_list", {})).data.artifacts as unknown[]).length, 1);
  const { data } = await call("artifact_get", { artifact: "report.txt" });
  assert.deepEqual([data.encoding, data.content, data.next_offset], ["text", "done", undefined]);
  assert.equal((await call("artifact_delete", { artifact: "report.txt" })).data.code, "CONFIRMATION_REQUIRED");
  const preview = (await call("artifact_delete", { artifact: "report.txt", preview: true })).data.preview as {
    confirm_token: string;
  };
  const confirmed = { artifact: "report.txt", confirm_token: preview.confirm_token };
  assert.equal((await call("artifact_delete", confirmed)).data.deleted, true);
  assert.equal((await call("artifact_get", { artifact: "report.txt" })).data.code, "ARTIFACT_NOT_FOUND");
});

test("long text comes in pages that never cut a character apart", async () => {
  const text = "ä".repeat(50);
  const call = open({ "/f": text });
  await call("artifact_create", { vm: "web", path: "/f", name: "long" });
  let read = "";
  for (let offset: number | undefined = 0; offset !== undefined; ) {
    const { data } = await call("artifact_get", { artifact: "long", offset, length: 7 });
    assert.equal(data.encoding, "text");
    read += data.content as string;
    offset = data.next_offset as number | undefined;
  }
  assert.equal(read, text);
});

test("an image comes whole as an image, and other bytes as base64", async () => {
  const call = open({ "/p.png": PNG, "/b": Buffer.from([0, 255, 1]) });
  await call("artifact_create", { vm: "web", path: "/p.png" });
  await call("artifact_create", { vm: "web", path: "/b" });
  const image = await call("artifact_get", { artifact: "p.png" });
  const part = image.content.find((piece) => piece.type === "image") as
    | { type: string; data: string; mimeType: string }
    | undefined;
  assert.ok(part !== undefined && Buffer.from(part.data, "base64").equals(PNG) && part.mimeType === "image/png");
  const { data } = await call("artifact_get", { artifact: "b" });
  assert.deepEqual([data.encoding, data.content], ["base64", "AP8B"]);
});
