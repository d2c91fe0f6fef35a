import assert from "node:assert/strict";
import { test } from "node:test";
import { countLeadingPart, countTrailingPart, decodeText, detectImage, encodeBytes } from "./bytes.ts";

test("UTF-8 comes back byte for byte, with its byte order mark", () => {
  const text = "\ufeffä€🎉\r\n\u001b[0m";
  assert.equal(decodeText(Buffer.from(text)), text);
  assert.deepEqual(encodeBytes(Buffer.from(text)), { content: text, encoding: "text" });
});

test("what is not UTF-8, or has a NUL, is base64", () => {
  for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0]]) {
    assert.equal(decodeText(Buffer.from(bytes)), undefined);
    assert.deepEqual(encodeBytes(Buffer.from(bytes)), {
      content: Buffer.from(bytes).toString("base64"),
      encoding: "base64",
    });
  }
});

test("a character that is cut apart is seen at either end", () => {
  const bytes = Buffer.from("a🎉b€");
  for (let cut = 0; cut <= bytes.length; cut++) {
    const head = bytes.subarray(0, cut);
    const tail = bytes.subarray(cut);
    const headText = decodeText(head.subarray(0, head.length - countTrailingPart(head)));
    const tailText = decodeText(tail.subarray(countLeadingPart(tail)));
    assert.ok(headText !== undefined && "a🎉b€".startsWith(headText), `head at ${cut}`);
    assert.ok(tailText !== undefined && "a🎉b€".endsWith(tailText), `tail at ${cut}`);
  }
});

test("images are known by their first bytes", () => {
  assert.equal(detectImage(Buffer.from("89504e470d0a1a0a0000", "hex")), "image/png");
  assert.equal(detectImage(Buffer.from("ffd8ffe0", "hex")), "image/jpeg");
  assert.equal(detectImage(Buffer.from("GIF89a....")), "image/gif");
  assert.equal(detectImage(Buffer.from("RIFF\0\0\0\0WEBPVP8 ")), "image/webp");
  assert.equal(detectImage(Buffer.from("RIFF\0\0\0\0WAVE")), undefined);
  assert.equal(detectImage(Buffer.alloc(0)), undefined);
});
