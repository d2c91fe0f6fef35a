import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { type Answer, caller } from "../../../test/support/tool-caller.ts";

test("a long text is read in pages that fit together, whatever the characters", async () => {
  const client = createFakeVmClient();
  const text = "aä€🎉".repeat(12);
  client.world.files.set("/f", Buffer.from(text));
  for (const length of [4, 5, 7, 16, 64]) {
    let read = "";
    let offset: number | undefined = 0;
    while (offset !== undefined) {
      const answer: Answer = await caller(client)("file_read", { vm: "web", path: "/f", offset, length });
      assert.equal(answer.data.encoding, "text");
      read += String(answer.data.content);
      offset = answer.data.next_offset as number | undefined;
    }
    assert.equal(read, text);
  }
});

test("what is asked for as text and is none is refused", async () => {
  const client = createFakeVmClient();
  client.world.files.set("/f", Buffer.from([0xff, 0xfe]));
  assert.equal(
    (await caller(client)("file_read", { vm: "web", path: "/f", encoding: "text" })).data.code,
    "INVALID_ARGUMENT",
  );
  assert.equal((await caller(client)("file_read", { vm: "web", path: "/f" })).data.content, "//4=");
});

test("an image longer than a page comes whole", async () => {
  const client = createFakeVmClient();
  const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(200_000, 1)]);
  client.world.files.set("/f", png);
  const answer = await caller(client)("file_read", { vm: "web", path: "/f" });
  assert.deepEqual(answer.content[1], { type: "image", mimeType: "image/png", data: png.toString("base64") });
  const raw = await caller(client)("file_read", { vm: "web", path: "/f", encoding: "base64" });
  assert.equal(raw.data.next_offset, 65_536);
});

test("base64 with a slip is refused instead of written", async () => {
  const client = createFakeVmClient();
  for (const content of ["a", "ab*=", "data:,x"]) {
    const answer = await caller(client)("file_write", { vm: "web", path: "/f", content, encoding: "base64" });
    assert.equal(answer.data.code, "INVALID_ARGUMENT", content);
  }
  await caller(client)("file_write", { vm: "web", path: "/f", content: "//4\n=", encoding: "base64" });
  assert.deepEqual(client.world.files.get("/f"), Buffer.from([0xff, 0xfe]));
});

test("a directory is listed in pages, and a made-up cursor is refused", async () => {
  const client = createFakeVmClient();
  for (const name of ["a", "b", "c\nd"]) client.world.files.set(`/d/${name}`, Buffer.from(name));
  const first = await caller(client)("file_list", { vm: "web", path: "/d", limit: 2 });
  const second = await caller(client)("file_list", { vm: "web", path: "/d", cursor: first.data.next_cursor });
  assert.deepEqual(
    [first, second].map(({ data }) => (data.entries as unknown[]).length),
    [2, 1],
  );
  assert.equal(second.data.next_cursor, undefined);
  assert.match(second.text, /^\[vm web · 1 entry\]\n0644 +3 "c\\nd"$/);
  assert.equal(
    (await caller(client)("file_list", { vm: "web", path: "/d", cursor: "x" })).data.code,
    "INVALID_ARGUMENT",
  );
});
