import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Request } from "../../test/support/mount-frames.ts";
import { FrameSplitter, MAX_REQUEST_BYTES, MalformedFrame, OPS } from "./wire.ts";

test("frames come out whole, however their bytes come in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 50 }),
      (payloads, cuts) => {
        const requests = payloads.map((payload) => new Request(OPS.lookup).raw(Buffer.from(payload)));
        const all = Buffer.concat(requests.map((request) => request.framed()));
        const splitter = new FrameSplitter();
        const frames: Buffer[] = [];
        for (let at = 0, index = 0; at < all.length; index++) {
          const cut = cuts[index % cuts.length] as number;
          splitter.push(all.subarray(at, at + cut));
          at += cut;
          for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) frames.push(frame);
        }
        assert.deepEqual(
          frames,
          requests.map((request) => request.frame()),
        );
      },
    ),
  );
});

test("a length that no frame has is refused before anything is kept for it", () => {
  for (const length of [0, 9, MAX_REQUEST_BYTES + 1, 0x7fffffff, 0xffffffff]) {
    const splitter = new FrameSplitter();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    splitter.push(head.subarray(0, 1));
    assert.equal(splitter.next(), undefined);
    splitter.push(head.subarray(1));
    assert.throws(() => splitter.next(), MalformedFrame);
  }
});
