import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputCapture, type OutputCaptureOptions } from "./output-capture.ts";

function createCapture(options: Partial<OutputCaptureOptions> & { sinkFails?: boolean } = {}) {
  const saved: Buffer[] = [];
  let opened = 0;
  const capture = new OutputCapture({
    capBytes: 100,
    maxSavedBytes: 1000,
    openSink: () => {
      opened++;
      return {
        path: "/saved",
        write: async (bytes) => {
          saved.push(Buffer.from(bytes));
          return !options.sinkFails;
        },
        end: async () => (options.sinkFails ? undefined : Buffer.concat(saved).length),
      };
    },
    ...options,
  });
  return { capture, saved: () => Buffer.concat(saved), opened: () => opened };
}

/** Text whose every position can be told from the others. */
const ruler = (length: number) =>
  Array.from({ length: Math.ceil(length / 5) }, (_, index) => String(index).padStart(5, "0"))
    .join("")
    .slice(0, length);

test("output up to the cap is answered whole and nothing is saved", async () => {
  const { capture, opened } = createCapture();
  await capture.push(Buffer.from(ruler(60)));
  await capture.push(Buffer.from(ruler(100).slice(60)));
  assert.deepEqual(await capture.finish(), { content: ruler(100), encoding: "text", totalBytes: 100 });
  assert.equal(opened(), 0);
});

test("no output is empty text", async () => {
  assert.deepEqual(await createCapture().capture.finish(), { content: "", encoding: "text", totalBytes: 0 });
});

for (const chunkBytes of [1, 7, 50, 99, 100, 101, 999]) {
  test(`longer output keeps start and end and is saved whole, in chunks of ${chunkBytes}`, async () => {
    const text = ruler(777);
    const { capture, saved, opened } = createCapture();
    for (let at = 0; at < text.length; at += chunkBytes)
      await capture.push(Buffer.from(text.slice(at, at + chunkBytes)));
    const output = await capture.finish();
    assert.deepEqual(output.cut, { offset: 50, bytes: 677, path: "/saved", savedBytes: 777 });
    assert.ok(
      output.content.startsWith(`${text.slice(0, 50)}\n[... 677 bytes cut here; all of it is in the VM in /saved`),
    );
    assert.ok(output.content.endsWith(`file_read with offset 50 goes on here ...]\n${text.slice(-50)}`));
    assert.equal(saved().toString(), text);
    assert.equal(opened(), 1);
  });
}

test("what is saved is bounded, and the answer says so", async () => {
  const { capture, saved } = createCapture();
  for (let count = 0; count < 30; count++) await capture.push(Buffer.alloc(99, 97));
  const output = await capture.finish();
  assert.equal(saved().length, 1000);
  assert.equal(output.cut?.savedBytes, 1000);
  assert.match(output.content, /the first 1000 bytes of it are in the VM/);
});

test("a sink that fails loses the rest, not the command, and the answer says so", async () => {
  const { capture, saved } = createCapture({ sinkFails: true });
  await capture.push(Buffer.from(ruler(150)));
  await capture.push(Buffer.from(ruler(150)));
  const output = await capture.finish();
  assert.equal(saved().length, 150);
  assert.deepEqual(output.cut, { offset: 50, bytes: 200 });
  assert.match(output.content, /could not be saved/);
});

test("a cut never takes a character apart", async () => {
  const text = "€".repeat(100);
  const { capture } = createCapture();
  await capture.push(Buffer.from(text));
  const output = await capture.finish();
  assert.equal(output.encoding, "text");
  assert.deepEqual([output.cut?.offset, output.cut?.bytes], [48, 300 - 96]);
});

test("of long output that is no text the start is answered", async () => {
  const bytes = Buffer.alloc(300, 0xff);
  const { capture } = createCapture();
  await capture.push(bytes);
  const output = await capture.finish();
  assert.equal(output.encoding, "base64");
  assert.deepEqual(Buffer.from(output.content, "base64"), bytes.subarray(0, 50));
  assert.deepEqual([output.cut?.offset, output.cut?.bytes], [50, 250]);
});
